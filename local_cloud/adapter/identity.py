"""Who is calling: role ARNs with their path, service principals, MFA, sessions for services."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from local_cloud.adapter import hooks
from local_cloud.adapter.request import current_request

SESSION_SECONDS = 12 * 3600
_SESSION_ARN = re.compile(r"arn:[\w-]+:sts::(\d{12}):assumed-role/([^/]+)/.+")
_ACCOUNT_ARN = re.compile(r"arn:[\w-]+:iam::(\d{12}):root|(\d{12})")
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
_VARIABLE = re.compile(r"\$\{([^},]+?)(?:\s*,\s*'([^']*)')?\}")


def role_record(role_arn: str) -> dict[str, Any] | None:
    """Look up a role by its full ARN, path included."""
    parts = role_arn.split(":")
    if len(parts) != 6 or not parts[5].startswith("role/"):
        return None
    role = hooks.module("services.iam")._roles.get_scoped(parts[4], None, role_arn.rsplit("/", 1)[-1])
    return role if role and role.get("Arn") == role_arn else None


def principal_arn(caller: str) -> str:
    """Return what ``aws:PrincipalArn`` holds: for a role session the role's ARN, path included."""
    session = _SESSION_ARN.fullmatch(caller)
    if not session:
        return caller
    role = hooks.module("services.iam")._roles.get_scoped(session[1], None, session[2])
    return str(role["Arn"]) if role else caller


def account_of(arn: str) -> str:
    """The account in an ARN; an empty string where it holds none."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else ""


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value or []]


def principal_matches(principal: Any, caller: str) -> bool:
    """Match a policy's Principal element as AWS does: no wildcards in ARNs, a role's path counts."""
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    if _SERVICE.fullmatch(caller):
        named = _as_list(principal.get("Service"))
        return "*" in _as_list(principal.get("AWS")) or caller.lower() in [name.lower() for name in named]
    named = _as_list(principal.get("AWS"))
    if "*" in named or caller in named or principal_arn(caller) in named:
        return True
    accounts = (_ACCOUNT_ARN.fullmatch(name) for name in named)
    return any(match and (match[1] or match[2]) == account_of(caller) for match in accounts)


def assumable_role(role_arn: str, service: str, source_arn: str | None = None) -> dict[str, Any]:
    """Return a role's record if the service may assume it.

    Raises
    ------
    PermissionError
        There is no such role, or its trust policy doesn't admit the service.
    """
    evaluator = hooks.module("core.iam_evaluator")
    role = role_record(role_arn)
    if role is None:
        raise PermissionError(f"{service} can't assume {role_arn}: there is no such role")
    account = account_of(role_arn)
    context = {"aws:sourceaccount": account, "aws:principalisawsservice": "true"}
    if source_arn:
        context |= {"aws:sourcearn": source_arn, "aws:sourceaccount": account_of(source_arn) or account}
    trust = evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=hooks.module("core.responses").get_region(),
        secure_transport=True,
        service_context=context,
    )
    if not evaluator.evaluate_trust_policy(role.get("AssumeRolePolicyDocument", "{}"), service, trust):
        acting_for = f" for {source_arn}" if source_arn else ""
        raise PermissionError(
            f"{service} can't assume {role_arn}{acting_for}: its trust policy doesn't admit it"
        )
    return role


def issue_session(
    role_arn: str, service: str, session_name: str, source_arn: str | None = None
) -> tuple[str, str, str]:
    """Assume a role for a service: access key id, secret and token. See `engine_services.IssueSession`."""
    role, account = assumable_role(role_arn, service, source_arn), account_of(role_arn)
    iam = hooks.module("services.iam")
    key, secret, token = iam._gen_session_access_key(), iam._gen_secret(), iam._gen_session_token()
    name = re.sub(r"[^\w+=,.@-]", "-", session_name)[:64]
    hooks.module("services.sts").register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{name}",
            "UserId": f"{role.get('RoleId', role['RoleName'])}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + SESSION_SECONDS,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return key, secret, token


def role_may(role_arn: str, action: str, resource_arn: str, context: dict[str, Any] | None = None) -> bool:
    """Whether a role's policies, with the resource's own policy, allow an action."""
    evaluator, iam = hooks.module("core.iam_evaluator"), hooks.module("services.iam")
    role = role_record(role_arn)
    if role is None:
        return False
    account = account_of(role_arn)
    limits = evaluator._permissions_boundary(iam._roles, role["RoleName"], account)
    ctx = evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/service",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource_arn,
        region=hooks.module("core.responses").get_region(),
        secure_transport=True,
        service_context={key.lower(): value for key, value in (context or {}).items()},
    )
    result = evaluator.evaluate(ctx, evaluator._gather_role_policies(role["RoleName"], account), *limits)
    service = action.partition(":")[0]
    policy = evaluator._resource_policy(service, resource_arn)
    if policy is not None:
        required = service in evaluator._POLICY_REQUIRED
        result = evaluator.combine_resource_policy(result, ctx, *policy, required=required, limits=limits)
    return bool(result.decision == "Allow")


def _mfa_presented() -> bool:
    """Whether the request being served is an AssumeRole with a registered device's serial and a code."""
    form = current_request().form()
    serial, code = form.get("SerialNumber", ""), form.get("TokenCode", "")
    if form.get("Action", "AssumeRole") != "AssumeRole" or not re.fullmatch(r"\d{6}", code):
        return False
    return hooks.module("services.iam")._mfa_devices.get_scoped(account_of(serial), None, serial) is not None


def _condition_key(original: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(key: str, ctx: Any) -> Any:
        lowered = key.lower()
        if lowered == "aws:principalarn":
            return principal_arn(ctx.principal_arn)
        if lowered in ("aws:resourceaccount", "s3:resourceaccount") and ctx.resource_arn.startswith(
            "arn:aws:s3:::"
        ):
            bucket = ctx.resource_arn.removeprefix("arn:aws:s3:::").split("/", 1)[0]
            return hooks.module("services.s3")._bucket_owner_account(bucket) or ctx.principal_account
        if lowered == "aws:principalisawsservice":
            return ctx.service_context.get(lowered, "false")
        return original(key, ctx)

    return resolve


def _with_variables(original: Callable[..., Any]) -> Callable[..., Any]:
    """Fill policy variables such as ``${aws:PrincipalAccount}``, which ministack compares literally."""
    evaluator = hooks.module("core.iam_evaluator")

    def fill(value: Any, ctx: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(item, ctx) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, ctx) for item in value]
        if not isinstance(value, str) or "${" not in value:
            return value

        def one(match: re.Match[str]) -> str:
            if match[1] in "*?$":
                return match[1]
            found = evaluator._resolve_condition_key(match[1], ctx)
            # A variable without value matches nothing on AWS: keep the text, which no ARN contains.
            return found if isinstance(found, str) else (match[2] if match[2] is not None else match[0])

        return _VARIABLE.sub(one, value)

    def first_match(ctx: Any, statements: list[Any], effect: str) -> Any:
        filled = [
            replace(
                statement,
                resources=fill(statement.resources, ctx),
                not_resources=fill(statement.not_resources, ctx),
                conditions=fill(statement.conditions, ctx),
            )
            if "${" in f"{statement.resources}{statement.not_resources}{statement.conditions}"
            else statement
            for statement in statements
        ]
        return original(ctx, filled, effect)

    return first_match


def _root_obeys_resource_policies(original: Callable[..., Any]) -> Callable[..., Any]:
    """Give an account's root every identity permission, but leave resource policies to decide too."""
    evaluator = hooks.module("core.iam_evaluator")
    everything = evaluator.parse_policy_document(
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    )

    def resolve(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if getattr(found, "policies", ...) is None:
            return replace(found, policies=[everything])
        return found

    return resolve


def _mfa_key(original: Callable[..., Any]) -> Callable[..., Any]:
    def keys(credential: Any) -> dict[str, Any]:
        found: dict[str, Any] = original(credential)
        session = hooks.module("services.sts")._sessions.get(credential.access_key_id) or {}
        if session.get("MultiFactor"):
            found["aws:multifactorauthpresent"] = "true"
        return found

    return keys


def _mfa_in_trust(original: Callable[..., Any]) -> Callable[..., Any]:
    def identity(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if isinstance(found, dict) and _mfa_presented():
            found["principalKeys"] = {**found.get("principalKeys", {}), "aws:multifactorauthpresent": "true"}
        return found

    return identity


def _mfa_in_session(original: Callable[..., Any]) -> Callable[..., Any]:
    def register(access_key: str, session: dict[str, Any]) -> None:
        if "SourceAccessKeyId" in session and _mfa_presented():
            session["MultiFactor"] = True
        original(access_key, session)

    return register


def _lambda_assumes_its_role(original: Callable[..., Any]) -> Callable[..., Any]:
    def credentials(config: dict[str, Any]) -> dict[str, str]:
        # AWS refuses a function whose role Lambda can't assume; here its invocations fail.
        assumable_role(config.get("Role", ""), "lambda.amazonaws.com", config.get("FunctionArn"))
        found: dict[str, str] = original(config)
        return found

    return credentials


def install() -> None:
    """Replace ministack's idea of principals by AWS's."""
    hooks.module("core.iam_evaluator")._principal_matches = principal_matches
    hooks.wrap("core.iam_evaluator", "_resolve_condition_key", _condition_key)
    hooks.wrap("core.iam_evaluator", "_first_match", _with_variables)
    hooks.wrap("core.iam_evaluator", "resolve_principal", _root_obeys_resource_policies)
    hooks.wrap("core.iam_evaluator", "_principal_keys", _mfa_key)
    hooks.module("services.sts")._principal_keys = hooks.module("core.iam_evaluator")._principal_keys
    hooks.wrap("services.sts", "_caller_identity", _mfa_in_trust)
    hooks.wrap("services.sts", "register_session", _mfa_in_session)
    hooks.wrap("core.lambda_runtime", "execution_credentials", _lambda_assumes_its_role)
    hooks.module("services.lambda_svc").execution_credentials = hooks.module(
        "core.lambda_runtime"
    ).execution_credentials
