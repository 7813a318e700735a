"""O-05: what an operator of an extended cluster sees when the Region is cut away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from islanding.faults.apply import Applied
from islanding.model import Window
from islanding.outcomes import ALLOWED, API_TLS_TIMEOUT, API_UNREACHABLE
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch


@pytest.mark.site("outpost-extended")
@pytest.mark.requirement("O-05")
def test_region_control_plane_is_out_of_reach(
    probe: SiteProbes,
    watch: Callable[..., Watch],
    away: Callable[..., AbstractContextManager[Applied]],
    physics: Callable[[str], AbstractContextManager[None]],
) -> None:
    """Kubectl times out in the TLS handshake where a proxy ends TCP, and in the dial where nothing does.

    The proxy's connection is taken by the site's edge, which goes on waiting for the Region; the direct one is never
    answered.
    """
    directly = probe.kubectl("get", "svc", identity="operator", name="kubectl, direct", interval=4, overlap=9)
    by_proxy = probe.kubectl(
        "get", "svc", identity="operator-by-proxy", name="kubectl, by proxy", interval=4, overlap=4
    )
    with watch(directly, by_proxy, drain=40) as (direct, proxied):
        direct.wait_for(ALLOWED, timeout=15)
        proxied.wait_for(ALLOWED, timeout=15)
        with away() as fault, physics("kubectl's dial of 30 s"):
            first = direct.wait_for(API_UNREACHABLE, timeout=60, after=fault.end)
            second = proxied.wait_for(API_TLS_TIMEOUT, timeout=60, after=fault.end)
        with physics("calls that met the cut"):
            direct.wait_for(ALLOWED, timeout=60, after=first.end)
            proxied.wait_for(ALLOWED, timeout=60, after=second.end)
    direct.expect(API_UNREACHABLE, window=Window(start=fault.end, end=first.end), hole=31)
    proxied.expect(API_TLS_TIMEOUT, window=Window(start=fault.end, end=second.end), hole=12)
