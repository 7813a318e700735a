"""Why a path fails: hop by hop from AWS's state, confirmed by packets; and what an error text means."""

from __future__ import annotations

from islanding.diagnosis.hops import Agreement, Blame, Diagnosis, Hop, Status
from islanding.diagnosis.of_site import confirm, diagnose, seen_as
from islanding.diagnosis.path import explain_path

__all__ = ["Agreement", "Blame", "Diagnosis", "Hop", "Status", "confirm", "diagnose", "explain_path", "seen_as"]
