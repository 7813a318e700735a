"""Writes what starts a schedule's runs: units of systemd, a crontab, a CronJob with its Kustomize base, CI's files."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from islanding.errors import SetupError
from islanding.paths import content_dir
from islanding.schedule.order import Order

# Template -> the file's name, by kind.
FILES: dict[str, dict[str, str]] = {
    "systemd": {"service.j2": "islanding-{name}.service", "timer.j2": "islanding-{name}.timer"},
    "crontab": {"crontab.j2": "islanding-{name}.crontab"},
    "kubernetes": {
        f"{one}.j2": one
        for one in (
            "kustomization.yaml",
            "namespace.yaml",
            "serviceaccount.yaml",
            "clusterrole.yaml",
            "clusterrolebinding.yaml",
            "persistentvolumeclaim.yaml",
            "cronjob.yaml",
            "kubeconfig",
        )
    },
    "github": {"workflow.yml.j2": "islanding-{name}.yml"},
    "gitlab": {"gitlab-ci.yml.j2": ".gitlab-ci.yml"},
}


def rendered(kind: str, order: Order) -> dict[str, str]:
    """The files of a kind by their names; raises SetupError for what that kind cannot express."""
    if kind == "systemd" and not Path(order.program).is_absolute():
        raise SetupError(f"systemd wants the whole path of {order.program}", "say it by --program")
    environment = Environment(
        loader=FileSystemLoader(content_dir("reports") / "schedule" / kind),
        autoescape=False,  # noqa: S701  # none of it is HTML; each value has the quoting of its file
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = json.dumps  # JSON is YAML, with every quote in its place
    return {
        target.format(name=order.name): environment.get_template(template).render(order=order)
        for template, target in FILES[kind].items()
    }


def write(kind: str, order: Order, folder: Path, config: tuple[Path, ...] = ()) -> list[Path]:
    """Write the files of a kind into `folder` and return them; `config` are copied beside a CronJob's.

    Raises SetupError when a file cannot be read or written, or is there already and says something else.
    """
    try:
        texts = {**{one.name: one.read_text(encoding="utf-8") for one in config}, **rendered(kind, order)}
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"a file of the configuration cannot be read: {error}") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = folder / name
            if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
                raise SetupError(f"{path} is there already and says something else", "move it away, or name --out")
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written: {error.strerror}") from error
    return [folder / name for name in texts]
