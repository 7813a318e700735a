"""Network ACLs: what AWS refuses of them, where moto breaks or lets it pass."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.network_acls import NetworkAclBackend

from islanding.lab.region.mends.patching import ec2_error, locked, mend

_ENTRIES = 20  # for each direction, without the last one (VPC guide, quotas)
_LAST = 32766  # the greatest number that a user's entry may have


@mend(NetworkAclBackend, "create_network_acl_entry")
@locked
def _create(theirs: Any, self: Any, network_acl_id: str, rule_number: Any, *args: Any, **kwargs: Any) -> Any:
    acl = self.get_network_acl(network_acl_id)
    egress = str(kwargs.get("egress", args[2] if len(args) > 2 else "")).lower()  # the fifth
    mine = [e for e in acl.network_acl_entries if str(e.egress).lower() == egress and int(e.rule_number) <= _LAST]
    if int(rule_number) <= _LAST and len(mine) >= _ENTRIES:
        raise ec2_error(
            "NetworkAclEntryLimitExceeded",
            f"The maximum number of network ACL entries has been reached for {network_acl_id}.",
        )
    return theirs(self, network_acl_id, rule_number, *args, **kwargs)


@mend(NetworkAclBackend, "delete_network_acl_entry")
@locked
def _delete_entry(theirs: Any, self: Any, network_acl_id: str, rule_number: Any, egress: Any) -> Any:
    try:
        return theirs(self, network_acl_id, rule_number, egress)
    except StopIteration:
        raise ec2_error(
            "InvalidNetworkAclEntry.NotFound",
            f"The specified entry {rule_number} does not exist in network ACL {network_acl_id}",
        ) from None


@mend(NetworkAclBackend, "replace_network_acl_association")
@locked
def _replace(theirs: Any, self: Any, association_id: str, network_acl_id: str) -> Any:
    self.get_network_acl(network_acl_id)  # before moto takes the old one away
    try:
        return theirs(self, association_id, network_acl_id)
    except StopIteration:
        raise ec2_error(
            "InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist"
        ) from None


@mend(NetworkAclBackend, "delete_network_acl")
@locked
def _delete(theirs: Any, self: Any, network_acl_id: str) -> Any:
    if self.get_network_acl(network_acl_id).default:
        raise ec2_error("InvalidParameterValue", f"cannot delete default network ACL {network_acl_id}")
    return theirs(self, network_acl_id)
