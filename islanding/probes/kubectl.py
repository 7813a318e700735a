"""kubectl as an identity: the very command that an operator types, with what it prints."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import ClassVar, Literal

from islanding.errors import SetupError
from islanding.kube.kubectl import argv, shown
from islanding.probes.at_place import AtPlace
from islanding.probes.base import Reading

# Tokens made in the same second are identical, and the API server caches a good one (docs/measurements.md 4).
IAM_SPACING = 2.0
# Where the command is entered by SSH, the empty cache is made and removed there.
_COLD = ("sh", "-c", 'd=$(mktemp -d); trap "rm -rf $d" EXIT; k=$1; shift; "$k" --cache-dir="$d" "$@"', "sh")


@dataclass(frozen=True, kw_only=True)
class Kubectl(AtPlace):
    """Runs `kubectl ARGS` with a kubeconfig.

    `identity` and `method` ("iam" or "x509") name who asks; IAM calls are at least 2 s apart. `cache`: "warm" lets
    kubectl keep its discovery cache (in `cache_dir`, or where it keeps it by itself), "cold" gives each call an empty
    one. `request_timeout` in seconds, 0 for none.
    """

    kind: ClassVar[str] = "kubectl"

    args: tuple[str, ...]
    kubeconfig: str
    identity: str = ""
    method: Literal["iam", "x509", ""] = ""
    cache: Literal["warm", "cold"] = "warm"
    cache_dir: str = ""
    request_timeout: float = 0.0
    kubectl: str = "kubectl"
    interval: float = 2.0
    timeout: float = 200.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cache not in ("warm", "cold"):
            raise SetupError(f"kubectl probe: cache {self.cache!r}", "use 'warm' or 'cold'")
        if self.method == "iam" and self.interval < IAM_SPACING:
            raise SetupError(
                f"kubectl probe {self.label!r}: an interval of {self.interval:g} s for an IAM identity",
                f"use {IAM_SPACING:g} s or more: tokens of the same second are identical and a good one is cached, "
                "so a faster probe would see the cache and not the link",
            )

    def target(self) -> str:
        """What is probed."""
        return " ".join(self.args) + (f" as {self.identity}" if self.identity else "")

    def command(self) -> str:
        """What a person would type."""
        return (f"{self.at}$ " if self.at else "") + shown(self.args, self.kubeconfig, self.request_timeout)

    def sample(self) -> Reading:
        """Run it once; the text is what it says on standard error, or the first line of its output when it worked."""
        if self.cache == "cold" and self.enter:
            return self._run("", _COLD)
        if self.cache == "cold":
            with tempfile.TemporaryDirectory(prefix="islanding-kubectl-", ignore_cleanup_errors=True) as empty:
                return self._run(empty)
        return self._run(self.cache_dir)

    def _run(self, cache_dir: str, before: tuple[str, ...] = ()) -> Reading:
        whole = argv(
            self.args,
            self.kubeconfig,
            cache_dir=cache_dir,
            request_timeout=self.request_timeout,
            kubectl=self.kubectl,
        )
        done = self.do([*before, *whole], self.timeout)
        if done.exit_code == 0:
            return Reading(0, done.stdout.strip().split("\n", 1)[0])
        return Reading(done.exit_code, done.stderr.strip() or done.stdout.strip())
