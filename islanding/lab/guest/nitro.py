"""On an instance: cloud-init's Ec2 data source where no DMI data can say that this is EC2, as on hardware of AWS.

cloud-init 22.4 asks for a metadata token, which `HttpTokens: required` demands, only where it recognises AWS, and it
reads no DMI data inside anything that looks like a container.
"""

from __future__ import annotations

from typing import Any

from cloudinit import sources  # type: ignore[import-not-found]  # of the instance, not of this environment
from cloudinit.sources import DataSourceEc2  # type: ignore[import-not-found]  # likewise

DataSourceEc2.identify_platform = lambda: DataSourceEc2.CloudNames.AWS


class DataSourceNitro(DataSourceEc2.DataSourceEc2):  # type: ignore[misc]  # its base is not of this environment
    """The Ec2 data source under a name of its own."""


def get_datasource_list(depends: list[str]) -> Any:
    """cloud-init's way to ask a module for its data sources."""
    needs = (sources.DEP_FILESYSTEM, sources.DEP_NETWORK)
    return sources.list_from_depends(depends, [(DataSourceNitro, needs)])
