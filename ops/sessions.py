"""Which credentials a command uses: those at hand if of the right account, else the profile ``mlops-<stage>``."""

from __future__ import annotations

import os
import re
from typing import Any

import boto3
import botocore.exceptions
import botocore.loaders
import botocore.session

from ops.errors import CommandError

# Shared by all sessions of a command: reading a service's model takes longer than most calls.
_LOADER = botocore.loaders.create_loader()


def new_session(**kwargs: Any) -> Any:
    """Return a new boto3 session, given what `boto3.Session` takes.

    https://docs.aws.amazon.com/boto3/latest/reference/core/session.html
    """
    core = botocore.session.Session()
    core.register_component("data_loader", _LOADER)
    return boto3.Session(botocore_session=core, **kwargs)


def session_for(stage: str, account: str, region: str) -> Any:
    """Return a boto3 session in the stage's account.

    The credentials that boto3 finds (environment, ``AWS_PROFILE``) are used where they belong to the account;
    otherwise the profile ``mlops-<stage>`` of the AWS configuration.

    Raises
    ------
    CommandError
        Where neither is of that account.
    """
    found: list[str] = []
    profile = f"mlops-{stage}"
    for name in dict.fromkeys([os.environ.get("AWS_PROFILE"), profile]):
        try:
            session = new_session(profile_name=name, region_name=region)
            actual = session.client("sts").get_caller_identity()["Account"]
        except botocore.exceptions.ProfileNotFound:
            continue
        except botocore.exceptions.NoCredentialsError:
            continue
        except botocore.exceptions.EndpointConnectionError as error:
            raise CommandError(
                f"nothing answers at {error.kwargs.get('endpoint_url')}; is it running? (make local-up)"
            ) from None
        except botocore.exceptions.ClientError as error:
            found.append(f"{name or 'default credentials'}: {error.response['Error']['Message']}")
            continue
        if actual == account:
            return session
        found.append(f"{name or 'default credentials'}: account {actual}")
    what = "; ".join(found) or "no credentials found"
    raise CommandError(
        f"{stage} is account {account}, but {what}. Set AWS_PROFILE, or add the profile {profile} to your AWS"
        " configuration"
    )


def assume(session: Any, role_arn: str, region: str, *, name: str) -> Any:
    """Return a session of a role; asks for nothing that the role's trust doesn't.

    A second factor is given by ``MFA_SERIAL`` (ARN of the device) and ``MFA_CODE``.

    Raises
    ------
    CommandError
        Where the role's trust refuses.
    """
    identity = session.client("sts").get_caller_identity()["Arn"]
    if f":assumed-role/{role_arn.rsplit('/', 1)[-1]}/" in identity:
        return session
    second = {}
    if os.environ.get("MFA_SERIAL"):
        second = {"SerialNumber": os.environ["MFA_SERIAL"], "TokenCode": os.environ.get("MFA_CODE", "")}
    try:
        answer = session.client("sts").assume_role(
            RoleArn=role_arn, RoleSessionName=_session_name(name, identity), **second
        )
    except botocore.exceptions.ClientError as error:
        raise CommandError(
            f"{identity} may not become {role_arn} ({error.response['Error']['Code']}): name it in the settings under"
            " mlops.people.approvers, and give MFA_SERIAL and MFA_CODE if a second factor is required"
        ) from None
    return _session_of(session, answer["Credentials"], region)


def in_build() -> bool:
    """Return whether this is a build of the delivery (``MLOPS_BUILD=true``), which has roles instead of profiles."""
    return os.environ.get("MLOPS_BUILD") == "true"


def lookup_session(account_name: str, role_arn: str, account: str, region: str) -> Any:
    """Return a session that reads what is deployed: in a build by the bootstrap's lookup role, else `session_for`.

    Parameters
    ----------
    account_name
        ``registry``, ``dev`` ...
    role_arn
        The lookup role of that account.

    Raises
    ------
    CommandError
        Where nobody may look there.
    """
    if not in_build():
        return session_for(account_name, account, region)
    session = new_session(region_name=region)
    try:
        answer = session.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=f"look-{account_name}")
    except (botocore.exceptions.ClientError, botocore.exceptions.NoCredentialsError) as error:
        raise CommandError(
            f"this build may not become {role_arn} ({' '.join(str(error).split())}): bootstrap {account_name} with"
            " --trust-for-lookup for the account of the delivery (make bootstrap-help)"
        ) from None
    return _session_of(session, answer["Credentials"], region)


def _session_name(name: str, identity: str) -> str:
    """Return a session's name that tells the person too: what was done in it is known by that name."""
    person = re.split(r"[/:]", identity)[-1]
    return re.sub(r"[^\w+=,.@-]", "-", f"{name}-{person}")[:64]


def _session_of(session: Any, keys: dict[str, str], region: str) -> Any:
    # The profile goes on to say where the services are: it may name the endpoint of an embedded cloud.
    profile = session.profile_name if session.profile_name in session.available_profiles else None
    return new_session(
        profile_name=profile,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        region_name=region,
    )
