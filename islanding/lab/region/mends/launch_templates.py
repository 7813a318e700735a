"""Versions of a launch template: made of another version, and with user data that an instance can be launched with."""

from __future__ import annotations

from typing import Any

from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

from islanding.lab.region.mends.patching import locked, mend


@mend(LaunchTemplates, "create_launch_template_version")
@locked
def _create_version(theirs: Any, self: Any) -> Any:
    """What the call leaves out comes from SourceVersion, if it names one (CreateLaunchTemplateVersion)."""
    by_id, backend = self._get_param("LaunchTemplateId"), self.ec2_backend
    template = (
        backend.get_launch_template(by_id)
        if by_id
        else backend.get_launch_template_by_name(self._get_param("LaunchTemplateName"))
    )
    source = self._get_param("SourceVersion")
    from_source = dict(template.get_version(source).data) if source else {}
    answer = theirs(self)
    data = template.versions[-1].data
    if "UserData" in data:
        data["UserData"] = parse_user_data(data["UserData"])
    data.update({name: value for name, value in from_source.items() if name not in data})
    return answer
