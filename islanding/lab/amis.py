"""The AMIs that the lab has, by id and name: whatever the id, an instance boots the one machine image."""

from __future__ import annotations

NODE = "ami-12c6146b"  # what the reference sites name
IMAGES = {
    NODE: "amazon-eks-node-1.36-islanding",
    "ami-04c0f02f5e148c80a": "amazon-eks-node-1.14-islanding",  # the default of a template of 2019 (seed 000)
}
