"""The Region's record of who called what: one JSON object a line, as CloudTrail keeps, and never a secret."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path


class Trail:
    """Appends one line a call to `path`; a failure to write is given to `on_error` once and never reaches a caller."""

    def __init__(self, path: Path, on_error: Callable[[str], None]) -> None:
        self._on_error = on_error
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._failed = False

    def write(
        self,
        *,
        source: str,
        access_key_id: str,
        principal: str,
        service: str,
        operation: str,
        status: int,
        error: str,
        seconds: float,
        endpoint: str = "",
        vpc: str = "",
    ) -> None:
        """Record one call: caller's address and identity, what was asked, HTTP status, error code, seconds taken.

        `endpoint` is the VPC endpoint (id) by which it came, `vpc` that one's VPC; both are empty for the internet.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "monotonic": round(time.monotonic(), 6),
            "source": source,
            "endpoint": endpoint,
            "vpc": vpc,
            "access_key_id": access_key_id,
            "principal": principal,
            "service": service,
            "operation": operation,
            "status": status,
            "error": error,
            "seconds": round(seconds, 6),
        }
        try:
            with self._lock:
                self._file.write(json.dumps(line) + "\n")
        except (OSError, ValueError) as failure:
            if not self._failed:
                self._failed = True
                self._on_error(f"request log: {failure}")

    def close(self) -> None:
        """Close the file; later calls are not recorded."""
        with self._lock:
            self._failed = True
            self._file.close()
