"""The catalogue of error texts, as data: image pulls, nodes that join, pods that start, AWS calls, access."""

from __future__ import annotations

from islanding.diagnosis.catalogue.access import ACCESS
from islanding.diagnosis.catalogue.anywhere import ANYWHERE
from islanding.diagnosis.catalogue.calls import CALLS
from islanding.diagnosis.catalogue.layer import LAYER
from islanding.diagnosis.catalogue.node import NODE
from islanding.diagnosis.catalogue.pod import POD
from islanding.diagnosis.catalogue.pull import PULL

CATALOGUE = (*PULL, *LAYER, *ANYWHERE, *NODE, *POD, *CALLS, *ACCESS)

__all__ = ["CATALOGUE"]
