"""Facts about a machine of the site, by testinfra, over the same SSH path that a person takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from islanding.errors import SetupError
from islanding.model import Site


def host(site: Site, name: str) -> Any:
    """A testinfra host: `host(site, "worker-1").service("kubelet").is_running`; `name` as the site's SSH configuration.

    paramiko connects, and takes a ProxyCommand from the configuration; for a ProxyJump, which its backend of testinfra
    does not know, the ssh command does. Raises SetupError for a site that has no SSH configuration.
    """
    config = site.facts.get("ssh_config", "")
    if not config or not Path(config).is_file():
        raise SetupError(f"site {site.name} says nothing on how to reach {name} by SSH", "its facts need ssh_config")
    import paramiko
    import testinfra

    jumps = "proxyjump" in paramiko.SSHConfig.from_path(config).lookup(name)
    return testinfra.get_host(f"{'ssh' if jumps else 'paramiko'}://{name}", ssh_config=config)
