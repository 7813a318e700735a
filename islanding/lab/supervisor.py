"""The one process that owns a lab: brings the site up, keeps its Region answering, and ends it all at SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

from islanding import stackconf
from islanding.errors import IslandingError
from islanding.journal import Journal
from islanding.lab import description, stack_description
from islanding.lab.bringup import Lab
from islanding.lab.parts.found import Parts
from islanding.lab.stacksite import StackSite
from islanding.model import Site
from islanding.siteconf import SiteConf


class _Down(BaseException):
    """SIGTERM arrived: whatever is under way ends here."""


def main() -> None:
    """`python -m islanding.lab.supervisor FOLDER`: bring up the lab that FOLDER/request.json asks for, and keep it."""
    folder = Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text())
    record = json.loads((folder / "lab.json").read_text())
    signal.signal(signal.SIGTERM, _raise_down)
    conf = stackconf.load(Path(request["site_file"]), overrides=request.get("overrides", {}))
    journal = Journal(Path(request["journal"]), site=conf.name)
    versions = {f"{name} version": version for name, version in request["versions"].items()}
    bin_dir, image, oci_dir, manifests = (Path(request[name]) for name in ("bin_dir", "image", "oci_dir", "manifests"))
    parts = Parts(bin_dir, image, oci_dir, manifests, request["versions"])
    about: dict[str, Any] = {
        "site_folder": Path(request["site_file"]).parent,
        "lab_id": folder.name,
        "folder": folder,
        "pid": record["pid"],
        "parts": parts,
        "journal": journal,
    }
    try:
        lab: Lab | StackSite = Lab(conf, **about) if isinstance(conf, SiteConf) else StackSite(conf, **about)
        lab.up()
        site = _described(lab, folder)
        journal.append(
            "site-ready",
            seconds=lab.steps.seconds_up(),
            topology=site.topology.model_dump(),
            facts={**site.facts, **versions},
        )
        _keep(lab)
    except _Down:
        os._exit(0)  # not sys.exit, which would wait for threads: the kernel ends everything with the lab's pid 1
    except IslandingError as error:
        traceback.print_exc()
        _fail(folder, error.what, error.fix)
    except Exception as error:
        traceback.print_exc()
        what = f"the lab's supervisor failed: {type(error).__name__}: {error}"
        _fail(folder, what, "")


def _described(lab: Lab | StackSite, folder: Path) -> Site:
    """Write down what runs, where others find it: as seen from here and, if there is one, from the workstation."""
    if isinstance(lab, StackSite):
        inside = stack_description.describe(lab, inside=True)
        inside.save(folder / "site.workstation.json")
        site = stack_description.describe(lab)
    else:
        site = description.describe(lab)
    site.save(folder / "site.json")
    return site


def _keep(lab: Lab | StackSite) -> NoReturn:
    """Look after the lab until it ends."""
    never = threading.Event()
    while True:
        never.wait(1.0)
        lab.world.keeper.look()


def _fail(folder: Path, what: str, fix: str) -> NoReturn:
    (folder / "failure.json").write_text(json.dumps({"what": what, "fix": fix}))
    sys.stderr.flush()
    os._exit(3)


def _raise_down(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Down


if __name__ == "__main__":
    main()
