"""Routers of a site, whoever made them: what is planned for them is pure, what is done goes over SSH.

A driver knows one kind of router: the commands that break something and exactly put it back, and how to read what the
router says. FRR is driven by its shell and by the Linux machine that it runs on; Cisco IOS-XE and Junos by netmiko.
"""

from __future__ import annotations

from islanding.model import Router
from islanding.routers.driver import RouterDriver
from islanding.routers.frr import Frr
from islanding.routers.ios_xe import IosXe
from islanding.routers.junos import Junos

__all__ = ["RouterDriver", "driver_of"]

_DRIVERS: dict[str, RouterDriver] = {driver.kind: driver for driver in (Frr(), IosXe(), Junos())}


def driver_of(router: Router) -> RouterDriver:
    """The driver that the site's description names for this router."""
    return _DRIVERS[router.driver]
