"""Samplers as the runner sees them: processes at places, started and stopped, and their samples read back."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from islanding.errors import InconclusiveError, LabError, SetupError
from islanding.journal import Journal, parse
from islanding.model import Place, Sample, Site
from islanding.probes import Probe
from islanding.wait import WaitTimeout, wait_until

HERE = Place(name="this machine", role="operator", address="127.0.0.1")
STOP = 10.0  # seconds that a sampler has for stopping, beyond its drain


def place_of(site: Site | None, name: str) -> Place:
    """The place of that name, this machine for ""; raises SetupError that lists the known ones."""
    if not name:
        return HERE
    if site is None:
        raise SetupError(f"no site is given, so there is no place {name!r}")
    try:
        return site.place(name)
    except KeyError as unknown:
        raise SetupError(str(unknown.args[0])) from None


def observe(site: Site | None, probe: Probe) -> Sample:
    """One sample of a probe at its place; raises LabError when the sampler itself cannot run there."""
    place = place_of(site, probe.place)
    done = place.run(
        [sys.executable, "-m", "islanding.probes.sampler", "--once"],
        stdin=json.dumps(probe.to_json()),
        timeout=probe.timeout + 60,
        check=False,
    )
    try:
        seen = json.loads(done.stdout)
    except ValueError:
        raise LabError(f"the sampler at {place.name} ended with {done.exit_code}: {done.stderr.strip()}") from None
    seen.pop("ok")
    return Sample(watch=probe.label, probe=probe.kind, **seen)


class Tail:
    """Reads one case's samples from a journal as they come, from where it ended when the watch began.

    Other sites and cases write to the same journal, with watches of the same names.
    """

    def __init__(self, journal: Journal) -> None:
        self._path = journal.path
        self._context = {key: journal.context.get(key) for key in ("site", "case")}
        self._offset = journal.path.stat().st_size
        self._lock = threading.Lock()
        self._samples: dict[str, list[Sample]] = {}

    def samples(self, watch: str) -> list[Sample]:
        """The samples of a watch up to now, in the order in which they ended."""
        with self._lock:
            self._read()
            return list(self._samples.get(watch, ()))

    def _read(self) -> None:
        with self._path.open("rb") as journal:
            journal.seek(self._offset)
            new = journal.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            event = parse(line.decode(errors="replace")) if b'"sample"' in line else None
            if event and event.type == "sample" and all(event.get(k) == v for k, v in self._context.items()):
                sample = Sample(**{key: event[key] for key in Sample.model_fields})
                self._samples.setdefault(sample.watch, []).append(sample)


class Sampler:
    """The sampler's process at one place."""

    def __init__(self, place: Place, journal: Journal, watches: Mapping[str, Probe], drain: float) -> None:
        if place.by_ssh:
            raise SetupError(
                f"no sampler runs at {place.name}, which is reached by SSH",
                "watch from a desk or a router of the site, or from this machine (place='')",
            )
        self._place, self._watches, self._drain = place, tuple(watches), drain
        spec = {
            "journal": str(journal.path.absolute()),
            "context": journal.context,
            "drain": drain,
            "watches": [{"watch": name, "probe": probe.to_json()} for name, probe in watches.items()],
        }
        folder = journal.path.absolute().parent
        spec_file = folder / f".sampler-{id(self):x}.json"  # the sampler removes it when it has read it
        spec_file.write_text(json.dumps(spec))
        self._spec_file = spec_file
        self._errors = (folder / f".sampler-{id(self):x}.err").open("w+")
        Path(self._errors.name).unlink()  # kept open: it goes with us
        self._process = subprocess.Popen(
            place.argv([sys.executable, "-m", "islanding.probes.sampler", str(spec_file)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C in the terminal is the runner's to handle
        )

    def wait_for_first_samples(self, tail: Tail, timeout: float) -> None:
        """Wait until each watch has a sample; raises InconclusiveError after `timeout` seconds, or when it ended."""

        def settled() -> bool:
            return self._process.poll() is not None or all(map(tail.samples, self._watches))

        with contextlib.suppress(WaitTimeout):
            wait_until(f"the first samples at {self._place.name}", settled, timeout=timeout, interval=0.02)
        silent = [name for name in self._watches if not tail.samples(name)]
        if silent:
            code = self._process.poll()
            state = f"gave no sample in {timeout:g} s" if code is None else f"ended with exit code {code}"
            raise InconclusiveError(
                f"the sampler at {self._place.name} {state}; silent: {', '.join(silent)}", self._said()
            )

    def tell_to_stop(self) -> None:
        """Ask it to stop; returns at once."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def wait_for_end(self) -> str:
        """Wait until the process is gone; what went wrong, "" when nothing did."""
        self.tell_to_stop()
        try:
            code = self._process.wait(self._drain + STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._spec_file.unlink(missing_ok=True)
        said = self._said()
        self._errors.close()
        return f"the sampler at {self._place.name} ended with {code}: {said}" if code or said else ""

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().strip()[-2000:]
