"""Parts: the real programs and images that the lab runs, how they are found, and how they are fetched or built.

parts.ensure(progress)   bring everything together (root; `islanding setup`)
parts.find()             where everything is (milliseconds; raises SetupError that names what is missing)
"""

from islanding.lab.parts.assemble import ensure
from islanding.lab.parts.found import Parts, find
from islanding.lab.parts.progress import Reporter, Silent

__all__ = ["Parts", "Reporter", "Silent", "ensure", "find"]
