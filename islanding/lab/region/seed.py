"""Identities that exist before anybody calls the API: roles, users with access keys, sessions of roles."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moto.iam.models import IAMBackend, iam_backends
from moto.sts.models import sts_backends


@dataclass(frozen=True)
class SessionCredentials:
    """Temporary credentials of a role's session, with the session's ARN and end. Never printed."""

    arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: datetime

    def profile(self, name: str, region: str) -> str:
        """The lines of a shared credentials file for these credentials."""
        return (
            f"[{name}]\nregion = {region}\naws_access_key_id = {self.access_key_id}\n"
            f"aws_secret_access_key = {self.secret_access_key}\naws_session_token = {self.session_token}\n"
        )


class Seed:
    """Makes identities in one account of the Region."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region

    @property
    def _iam(self) -> IAMBackend:
        # AWS's own policies are in every account; moto reads this when it makes the account's IAM.
        os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
        return iam_backends[self._account]["aws"]

    def create_role(
        self,
        name: str,
        services: Sequence[str] = ("ec2.amazonaws.com", "eks.amazonaws.com"),
        policies: Sequence[str] = (),
    ) -> str:
        """Make a role that the account's own principals and the named services may assume; returns its ARN.

        `policies` are the ARNs of managed policies that it has.
        """
        statements = [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{self._account}:root"}},
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": list(services)}},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        arn = str(self._iam.create_role(name, policy, "/", None, "", [], "3600").arn)
        for managed in policies:
            self._iam.attach_role_policy(managed, name)
        return arn

    def create_instance_profile(self, name: str, role: str) -> str:
        """Make an instance profile that holds `role` (its name); returns the profile's ARN."""
        return str(self._iam.create_instance_profile(name, "/", [role], []).arn)

    def create_user_with_key(self, name: str) -> tuple[str, str, str]:
        """Make a user with one access key; returns (ARN, access key id, secret access key)."""
        user = self._iam.create_user(self._region, name)
        key = self._iam.create_access_key(name)
        return str(user.arn), key.access_key_id, key.secret_access_key

    def assume(self, role: str, session: str = "islanding", seconds: int = 43200) -> SessionCredentials:
        """Open a session of a role (name or ARN), valid for `seconds`, without asking its trust policy."""
        arn = role if role.startswith("arn:") else str(self._iam.get_role(role).arn)
        made = sts_backends[self._account]["aws"].assume_role(
            region_name=self._region,
            role_session_name=session,
            role_arn=arn,
            policy="",
            duration=seconds,
            external_id="",
        )
        return SessionCredentials(
            made.arn,
            made.access_key_id,
            made.secret_access_key,
            made.session_token,
            made.expiration.replace(tzinfo=UTC),
        )
