"""The data plane: keeps the kernel as AWS says, after each change of AWS's state, and repairs what failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from islanding.lab import kernel
from islanding.lab.plan import NetworkPlan, joined, without
from islanding.lab.script import changes
from islanding.lab.vpc import observe
from islanding.lab.vpc.counters import read_counters
from islanding.lab.vpc.desired import desired
from islanding.lab.vpc.index import Index
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.snapshot import snapshot
from islanding.lab.vpc.state import Ec2State, ServiceHost

_READS = 20  # tries to read moto's state while it changes
Listener = Callable[[Ec2State], None]


@dataclass(frozen=True)
class Reconciled:
    """One reconcile: why, what it took (seconds) in all and in the kernel, and whether the kernel was changed."""

    reason: str
    seconds: float
    in_kernel: float
    changed: bool


class DataPlane:
    """The kernel's side of one account's EC2 in one Region.

    `services` tells the hosts of AWS services, `owners` which host each of their interfaces (by id) is plugged into.
    `around` is the network around the VPCs, which is there already and stays. `on_error` gets what went wrong in words:
    a run that has such a thing proves nothing.
    """

    def __init__(
        self,
        account: str,
        region: str,
        outside: Outside | None = None,
        *,
        services: Callable[[], tuple[ServiceHost, ...]] = tuple,
        owners: Callable[[], Mapping[str, str]] = dict,
        around: NetworkPlan | None = None,
        on_error: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.outside = outside or Outside(region=region)
        self.errors: list[str] = []
        self.state = Ec2State()
        self.around = around or NetworkPlan()
        self.plan = self.around
        self.last = Reconciled("", 0.0, 0.0, changed=False)
        self._account = account
        self._region = region
        self._services = services
        self._owners = owners
        self._on_error = on_error
        self._listeners: list[Listener] = []
        self._failed: list[Listener] = []  # listeners that could not follow the present state
        self._lock = threading.RLock()
        self._unplugged: set[str] = set()
        self._begun = self._closed = False
        self._doubtful = False  # the kernel may not hold what AWS says: the last reconcile failed

    @property
    def healthy(self) -> bool:
        """Whether the kernel holds what AWS says, and every listener follows it, as far as is known."""
        return not self._doubtful and not self._failed

    def on_plan(self, listener: Listener) -> None:
        """Have `listener(state)` called after each reconcile that saw a new state, in the thread that reconciles.

        One that raises is called again by the next reconcile, new state or not.
        """
        self._listeners.append(listener)

    def hook(self, service: str, operation: str) -> None:
        """For Region.after_mutation."""
        self.reconcile(f"{service}:{operation}")

    def reconcile(self, reason: str) -> None:
        """Bring the kernel to what AWS says now; never raises: what goes wrong is recorded, and repaired next time."""
        begun = time.monotonic()
        try:
            with self._lock:
                if self._closed:
                    return
                state = self._read()
                news = not self._begun or state != self.state
                if not news and self.healthy:
                    self.last = Reconciled(reason, time.monotonic() - begun, 0.0, changed=False)
                    return
                plan = self._plugged(self._wanted(state))
                started = time.monotonic()
                changed = self._reach(plan)
                self.state, self._begun = state, True
                ended = time.monotonic()
                self.last = Reconciled(reason, ended - begun, ended - started, changed)
                self._tell(state, self._listeners if news else self._failed)
        except Exception as error:
            self._doubtful = True  # whatever it was, the kernel may not hold what AWS says
            self._record(f"reconcile after {reason}: {type(error).__name__}: {error}")

    def set_outside(self, outside: Outside) -> None:
        """Take other addresses, or prefixes that a VPN gateway has learnt; raises CommandFailed as `replug` does."""
        with self._lock:
            self.outside = outside
            self._reach(self._plugged(self._wanted(self.state)))

    def replug(self, name: str) -> None:
        """Delete and remake a host's namespace with all its interfaces, as a power cycle does.

        Raises CommandFailed when the kernel refuses; nothing happens for a host that AWS does not have running.
        """
        with self._lock:
            whole = self._wanted(self.state)
            self._unplugged.add(name)
            self._reach(self._plugged(whole))
            self._unplugged.discard(name)
            self._reach(self._plugged(whole))

    def unplug(self, name: str) -> None:
        """Take a host off the network with its namespace, in silence, until it is plugged in again by `replug`.

        Raises CommandFailed when the kernel refuses.
        """
        with self._lock:
            self._unplugged.add(name)
            self._reach(self._plugged(self._wanted(self.state)))

    def _wanted(self, state: Ec2State) -> NetworkPlan:
        return joined([self.around, desired(state, self.outside)])

    def _plugged(self, plan: NetworkPlan) -> NetworkPlan:
        for name in self._unplugged:
            plan = without(plan, name)
        return plan

    def repair(self) -> None:
        """Compare the kernel with the plan and mend what differs; raises CommandFailed when the kernel refuses."""
        with self._lock:
            self._doubtful = True
            self._reach(self._plugged(self._wanted(self.state)))

    def counters(self) -> dict[str, tuple[int, int]]:
        """(packets, bytes) that have passed each VPC endpoint, both ways, by its id."""
        with self._lock:
            index = Index(self.state, self.outside.outposts)
        return read_counters(index)

    def close(self) -> None:
        """Take everything away, for good."""
        with self._lock:
            self._closed = True
            self._reach(NetworkPlan())

    def _read(self) -> Ec2State:
        for attempt in range(_READS):
            try:
                return snapshot(self._account, self._region, self._services(), self._owners())
            except RuntimeError:  # a dictionary changed while it was read: no lock is held across moto's calls
                if attempt == _READS - 1:
                    raise
        raise AssertionError

    def _reach(self, plan: NetworkPlan) -> bool:
        """Make the kernel hold `plan`; after a failure, from what is really there."""
        trouble = ""
        try:
            todo = observe.repair(plan, self.plan) if self._doubtful else changes(plan, self.plan)
            if todo:
                try:
                    kernel.execute(todo)
                except Exception as error:
                    trouble = f"the kernel refused a change: {error}"
                    kernel.execute(observe.repair(plan, self.plan))
        except BaseException:  # an interrupt too: the kernel may hold half of it
            self._doubtful = True
            if trouble:
                self._record(trouble)
            raise
        self.plan = plan
        self._doubtful = False
        if trouble:
            self._record(f"{trouble}; what AWS says was put in place all the same")
        return bool(todo)

    def _tell(self, state: Ec2State, listeners: list[Listener]) -> None:
        failed, errors = [], []
        for listener in listeners:
            try:
                listener(state)
            except Exception as error:
                failed.append(listener)
                errors.append(f"a listener of the data plane: {type(error).__name__}: {error}")
        self._failed = failed  # before it is told: whoever hears of it asks whether it lasts
        for what in errors:
            self._record(what)

    def _record(self, what: str) -> None:
        self.errors.append(what)
        self._on_error(what)
