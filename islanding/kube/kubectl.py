"""The kubectl command line, as the harness runs it and as a person would type it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def argv(
    args: Sequence[str],
    kubeconfig: str,
    *,
    cache_dir: str = "",
    request_timeout: float = 0.0,
    kubectl: str = "kubectl",
) -> list[str]:
    """The whole argument vector of `kubectl ARGS` with a kubeconfig; `request_timeout` in seconds, 0 for none."""
    options = [f"--kubeconfig={kubeconfig}"]
    if cache_dir:
        options.append(f"--cache-dir={cache_dir}")
    if request_timeout:
        options.append(f"--request-timeout={request_timeout:g}s")
    return [kubectl, *options, *args]


def shown(args: Sequence[str], kubeconfig: str, request_timeout: float = 0.0) -> str:
    """The same as one line for a report."""
    return shlex.join(argv(args, kubeconfig, request_timeout=request_timeout))
