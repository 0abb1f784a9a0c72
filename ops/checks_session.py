"""The session of a delivery's build that checks a stage, for longer than an hour if need be."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.credentials
import botocore.exceptions
import botocore.session

from ops.errors import CommandError


def build_session(role_arn: str, region: str, *, name: str) -> Any:
    """Return a session of a role that the build at hand may assume, renewed for as long as the build takes.

    Raises
    ------
    CommandError
        Where the role's trust refuses.
    """
    source = botocore.session.get_session()
    source.set_config_variable("region", region)
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        source.create_client,
        source.get_credentials(),
        role_arn,
        # The longest that a role may have which is assumed by an assumed role.
        extra_args={"RoleSessionName": name, "DurationSeconds": 3600},
    )
    assumed = botocore.session.get_session()
    assumed._credentials = botocore.credentials.DeferredRefreshableCredentials(
        fetcher.fetch_credentials, "assume-role"
    )
    session = boto3.Session(botocore_session=assumed, region_name=region)
    try:
        session.client("sts").get_caller_identity()
    except (botocore.exceptions.ClientError, botocore.exceptions.NoCredentialsError) as error:
        raise CommandError(
            f"this build may not become {role_arn} ({' '.join(str(error).split())}): deploy the stage with"
            " mlops.delivery set; a person leaves MLOPS_BUILD unset"
        ) from None
    return session
