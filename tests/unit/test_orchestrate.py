"""A run of several sites: in which order they come up."""

from __future__ import annotations

from pathlib import Path

import pytest

from islanding import siteconf
from islanding.cli.orchestrate import Run, SiteRun
from islanding.errors import SetupError


def test_the_site_with_three_members_of_etcd_comes_up_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three members of etcd start while nothing else fills the cores; the others keep their order."""
    brought_up = []

    def up(_run: Run, site: str, _journal: object) -> None:
        brought_up.append(site)
        raise SetupError("far enough")

    monkeypatch.setattr(Run, "_up", up)
    monkeypatch.setattr(Run, "_started", lambda _run: None)

    assert not Run(tmp_path, [SiteRun(name) for name in siteconf.names()]).execute()

    assert brought_up == ["outpost-local", *sorted(set(siteconf.names()) - {"outpost-local"})]
