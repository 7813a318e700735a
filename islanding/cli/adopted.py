"""A run at sites on a real AWS account: each adopted from its file, its cases run, nothing taken down afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.accountconf import AccountConf
from islanding.cli.orchestrate import Run, RunningSite, SiteRun
from islanding.journal import Journal
from islanding.target import adopt


@dataclass(frozen=True)
class Adopted:
    """An adopted site as a run sees it."""

    id: str
    folder: Path

    @property
    def site_file(self) -> Path:
        return self.folder / "site.json"


class AccountRun(Run):
    """One run at sites of real accounts; `confs` and their `files` by the reference sites that they are like."""

    target = "aws"
    owns_its_sites = False

    def __init__(
        self, folder: Path, sites: Sequence[SiteRun], confs: dict[str, AccountConf], files: dict[str, Path]
    ) -> None:
        super().__init__(folder, sites)
        self._confs = confs
        self._files = files

    def _at_a_time(self) -> int:
        return max(1, len(self.sites))  # they are up already, on machines of their own

    def _swept(self) -> Sequence[object]:
        return ()

    def _runs_on(self) -> dict[str, Any]:
        return {"parts": {}, "hashes": {}}

    def _site_files(self) -> dict[str, list[Path]]:
        given = {f"{site}/account": [path] for site, path in self._files.items()}
        return {**super()._site_files(), **given}

    def environment(self) -> dict[str, str]:
        return dict(os.environ)  # the account is the user's own

    def _up(self, site: str, journal: Journal) -> RunningSite:
        conf = self._confs[site]
        begun = time.monotonic()
        journal.append("site-starting")
        (self.folder / "logs" / site).mkdir(parents=True, exist_ok=True)

        def step(text: str) -> None:
            journal.append("site-step", step=text, seconds=round(time.monotonic() - begun, 3))

        found = adopt.adopt(conf, step)
        seconds = round(time.monotonic() - begun, 3)
        journal.append("site-ready", seconds=seconds, topology=found.topology.model_dump(), facts=dict(found.facts))
        for name, reason in sorted(found.lacking.items()):
            journal.append("warning", text=f"{name} is not known of {conf.name}: {reason}")
        return Adopted(found.id, adopt.folder_of(conf.name))

    def _memory(self, lab: RunningSite) -> int:
        return 0

    def _take_down(self, lab: RunningSite) -> None:
        """Nothing: whose site it is goes on using it; its faults were undone before."""
