"""Permission checks that AWS makes and ministack doesn't: PassRole, keys behind S3 and SNS, our own services."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from local_cloud.adapter import hooks, keys, recording
from local_cloud.adapter.identity import account_of
from local_cloud.adapter.request import Request, current_request


class Check(NamedTuple):
    """One permission that a request needs."""

    action: str
    resource: str
    context: dict[str, Any]


#: What receives the role of a call: action -> (service principal, where the role's ARN stands).
_PASSED_ROLES: dict[str, tuple[str, Callable[[Request], Iterable[Any]]]] = {
    "lambda:CreateFunction": ("lambda.amazonaws.com", lambda request: [request.json().get("Role")]),
    "lambda:UpdateFunctionConfiguration": (
        "lambda.amazonaws.com",
        lambda request: [request.json().get("Role")],
    ),
    "events:PutRule": ("events.amazonaws.com", lambda request: [request.json().get("RoleArn")]),
    "events:PutTargets": (
        "events.amazonaws.com",
        lambda request: [target.get("RoleArn") for target in request.json().get("Targets") or []],
    ),
    "scheduler:CreateSchedule": (
        "scheduler.amazonaws.com",
        lambda request: [(request.json().get("Target") or {}).get("RoleArn")],
    ),
    "cloudformation:CreateStack": (
        "cloudformation.amazonaws.com",
        lambda request: [request.form().get("RoleARN")],
    ),
    "cloudformation:CreateChangeSet": (
        "cloudformation.amazonaws.com",
        lambda request: [request.form().get("RoleARN")],
    ),
}
_PASSED_ROLES["scheduler:UpdateSchedule"] = _PASSED_ROLES["scheduler:CreateSchedule"]
_PASSED_ROLES["cloudformation:UpdateStack"] = _PASSED_ROLES["cloudformation:CreateStack"]

_READS_OBJECT = ("s3:GetObject", "s3:GetObjectVersion")
_denied: contextvars.ContextVar[Check | None] = contextvars.ContextVar("local_cloud_denied", default=None)


def passed_roles(action: str, request: Request) -> list[Check]:
    """The iam:PassRole checks of a call that hands a role to a service."""
    service, roles = _PASSED_ROLES.get(action, ("", lambda _request: []))
    context = {"iam:PassedToService": service}
    return [Check("iam:PassRole", str(role), context) for role in roles(request) if role]


def _use_of_key(reference: str, actions: Iterable[str], service: str, **context: str) -> list[Check]:
    key = keys.find_key(reference)
    if key is None:
        return [Check(action, reference, {}) for action in actions]
    via = f"{service}.{key['Arn'].split(':')[3]}.amazonaws.com"
    return [
        Check(action, key["Arn"], {**keys.condition_context(key, via=via), **context}) for action in actions
    ]


def object_keys(action: str, resource: str, request: Request) -> list[Check]:
    """The KMS checks of reading or writing an S3 object under a customer-managed key."""
    s3, responses = hooks.module("services.s3"), hooks.module("core.responses")
    bucket, _, name = resource.removeprefix("arn:aws:s3:::").partition("/")
    owner = s3._bucket_owner_account(bucket)
    if not name or owner is None:
        return []
    with responses.request_scope(owner, responses.get_region()):
        if action in _READS_OBJECT:
            stored = _stored_encryption(s3, bucket, name, request.parameter("versionId"))
            needed = ["kms:Decrypt"]
        elif action == "s3:PutObject":
            stored = {**s3._bucket_default_sse_headers(bucket)}
            if "x-amz-server-side-encryption" in request.headers:
                stored = dict(request.headers)
            needed = ["kms:GenerateDataKey"]
            if request.parameter("uploadId"):
                # A part, or the completion, reads the parts' key again.
                needed = (
                    ["kms:GenerateDataKey", "kms:Decrypt"] if request.method == "PUT" else ["kms:Decrypt"]
                )
        else:
            return []
        reference = stored.get("x-amz-server-side-encryption-aws-kms-key-id", "")
        if stored.get("x-amz-server-side-encryption") != "aws:kms" or not reference:
            return []
        return _use_of_key(
            reference, needed, "s3", **{"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}
        )


def _stored_encryption(s3: ModuleType, bucket: str, name: str, version: str) -> dict[str, str]:
    record = (s3._buckets.get(bucket) or {}).get("objects", {}).get(name)
    if version:
        versions = s3._object_versions.get((bucket, name)) or []
        found = next((item for item in versions if item["version_id"] == version), None)
        record = (
            s3._object_record_from_version(found) if found and not found.get("is_delete_marker") else record
        )
    return dict((record or {}).get("preserved_headers", {}))


def topic_key(resource: str) -> list[Check]:
    """The KMS checks of publishing to an encrypted topic."""
    topic = hooks.module("services.sns")._topic_by_arn_any_scope(resource)
    reference = ((topic or {}).get("attributes") or {}).get("KmsMasterKeyId", "")
    if not reference or "alias/aws/" in reference:
        return []
    responses = hooks.module("core.responses")
    with responses.request_scope(account_of(resource), resource.split(":")[3]):
        return _use_of_key(reference, ["kms:GenerateDataKey", "kms:Decrypt"], "sns")


def condition_context(action: str, request: Request) -> dict[str, Any]:
    """The values of condition keys that ministack doesn't read from a request."""
    if action == "cloudwatch:PutMetricData":
        return {"cloudwatch:namespace": request.form().get("Namespace")}
    return {}


def resource_of(action: str, resource: str, request: Request) -> str:
    """The resource that AWS judges a call by, where ministack judges by what it belongs to."""
    if action == "logs:DeleteLogStream":
        return f"{resource}:log-stream:{request.json().get('logStreamName', '')}"
    return resource


def entries(action: str, resource: str, request: Request) -> list[Check]:
    """One check an event: AWS judges each entry of a PutEvents by its own source and detail type."""
    if action != "events:PutEvents":
        return []
    return [
        Check(
            action,
            resource,
            {"events:source": entry.get("Source"), "events:detail-type": entry.get("DetailType")},
        )
        for entry in request.json().get("Entries") or []
    ]


def _further_checks(action: str, resource: str, request: Request) -> list[Check]:
    checks = passed_roles(action, request)
    if action.startswith("s3:"):
        checks += object_keys(action, resource, request)
    if action == "sns:Publish":
        checks += topic_key(resource)
    return checks


def _recording_requests(original: Callable[..., Any]) -> Callable[..., Any]:
    """Record what is asked of policies; a request that isn't authenticated never comes so far."""

    def enforce(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        evaluator = hooks.module("core.iam_evaluator")
        denied = original(
            access_key, action, service, region, resource_arn=resource_arn, service_context=service_context
        )
        if not recording.is_on() or isinstance(denied, evaluator.AuthError):
            return denied
        who = evaluator.resolve_principal(access_key, hooks.module("core.responses").get_account_id())
        if not isinstance(who, evaluator.AuthError):
            names = [*(service_context or {}), *who.keys]
            recording.note(who.arn, action, resource_arn, allowed=denied is None, condition_keys=names)
        return denied

    return enforce


def _recording_trust(original: Callable[..., Any]) -> Callable[..., Any]:
    def allows(document: Any, caller: str, ctx: Any = None) -> bool:
        allowed = bool(original(document, caller, ctx))
        if ctx is not None:
            names = [*ctx.service_context, *ctx.principal_keys]
            recording.note(caller, ctx.action, ctx.resource_arn, allowed=allowed, condition_keys=names)
        return allowed

    return allows


def _enforcing(services: Mapping[str, ModuleType]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def check_all(access_key: str, region: str, checks: Iterable[Check]) -> Any:
            for check in checks:
                resource = check.resource
                service = check.action.partition(":")[0]
                context = dict(check.context)
                if service == "kms" and (key := keys.find_key(resource)):
                    resource = key["Arn"]
                    context = {**keys.condition_context(key), **{k.lower(): v for k, v in context.items()}}
                denied = original(
                    access_key, check.action, service, region, resource_arn=resource, service_context=context
                )
                if denied:
                    _denied.set(Check(check.action, resource, context))
                    return denied
            return None

        def enforce(
            access_key: str,
            action: str,
            service: str,
            region: str,
            resource_arn: str = "*",
            service_context: dict[str, Any] | None = None,
        ) -> Any:
            _denied.set(None)
            request = current_request()
            if service in services:
                operation, body = action.partition(":")[2], request.json()
                wanted = [Check(*needed) for needed in services[service].actions_for(operation, body)]
                return check_all(access_key, region, wanted)
            if service == "kms":
                key = keys.requested_key(request.json())
                if key is not None:
                    resource_arn = key["Arn"]
                    service_context = {**(service_context or {}), **keys.condition_context(key)}
            resource_arn = resource_of(action, resource_arn, request)
            if each := entries(action, resource_arn, request):
                return check_all(access_key, region, each)
            context = {**(service_context or {}), **condition_context(action, request)}
            denied = original(
                access_key, action, service, region, resource_arn=resource_arn, service_context=context
            )
            return denied or check_all(access_key, region, _further_checks(action, resource_arn, request))

        return enforce

    return make


def _naming_what_was_denied(original: Callable[..., Any]) -> Callable[..., Any]:
    message = hooks.module("core.iam_actions").identity_denial_message

    def response(service: str, action: str, principal: str, *args: Any, **kwargs: Any) -> Any:
        check = _denied.get()
        if check is not None:
            action, kwargs = check.action, {**kwargs, "resource_arn": check.resource}
        if (
            not kwargs.get("message")
            and not kwargs.get("error_code")
            and not kwargs.get("resource_policy_arn")
        ):
            resource, explicit = kwargs.get("resource_arn", "*"), kwargs.get("explicit_deny", False)
            kwargs["message"] = message(action, principal, resource, explicit)
        return original(service, action, principal, *args, **kwargs)

    return response


def _policy_of_any_bucket(original: Callable[..., Any]) -> Callable[..., Any]:
    """Judge another account's bucket by its policy and the caller itself, not by the caller's account."""

    def bucket_policy_for_arn(resource_arn: str) -> tuple[str, str] | None:
        found: tuple[str, str] | None = original(resource_arn)
        request, s3 = current_request(), hooks.module("services.s3")
        bucket = resource_arn.removeprefix("arn:aws:s3:::").split("/", 1)[0]
        creating = request.method == "PUT" and request.path.strip("/") == bucket and not request.query
        if found is not None or creating or not resource_arn.startswith("arn:aws:s3:::"):
            return found
        owner = s3._bucket_owner_account(bucket)
        return (s3._bucket_policies.get_scoped(owner, None, bucket) or "", owner) if owner else None

    return bucket_policy_for_arn


def _already_judged(original: Callable[..., Any]) -> Callable[..., Any]:
    def allows(
        owner: str, bucket: str, key: str, method: str, query: Any, caller: str, headers: Any = None
    ) -> bool:
        # A signed caller has passed both accounts' policies in `enforce`; an anonymous one has not.
        return True if caller else bool(original(owner, bucket, key, method, query, caller, headers))

    return allows


def _policy_of_any_function(original: Callable[..., Any]) -> Callable[..., Any]:
    def function_policy_for_arn(resource_arn: str) -> tuple[Any, str] | None:
        account = account_of(resource_arn)
        if not account:
            return None
        responses = hooks.module("core.responses")
        with responses.request_scope(account, resource_arn.split(":")[3]):
            found: tuple[Any, str] | None = original(resource_arn)
            return found

    return function_policy_for_arn


def denial(role: Mapping[str, str], action: str, resource: str) -> str | None:
    """Why a role's session may not do an action on a resource; None where it may.

    Parameters
    ----------
    role
        Environment variables of the session.
    action, resource
        What it would do, and the ARN on which.
    """
    key, region = role["AWS_ACCESS_KEY_ID"], role["AWS_REGION"]
    session = hooks.module("services.sts")._sessions.get(key)
    if session is None:
        return "the session has expired"
    evaluator = hooks.module("core.iam_evaluator")
    with hooks.module("core.responses").request_scope(session["AccountId"], region):
        principal = evaluator.resolve_principal(key, session["AccountId"])
        if isinstance(principal, evaluator.AuthError):
            return str(principal.message)
        ctx = evaluator.EvalContext(
            principal_arn=principal.arn,
            principal_type=principal.type,
            principal_account=principal.account,
            action=action,
            resource_arn=resource,
            region=region,
            secure_transport=True,
            service_context={},
            principal_keys=principal.keys,
        )
        result = evaluator.evaluate(ctx, principal.policies, *principal.limits)
        recording.note(principal.arn, action, resource, allowed=result.decision == "Allow")
        if result.decision == "Allow":
            return None
        message = hooks.module("core.iam_actions").identity_denial_message
        return str(message(action, principal.arn, resource, result.decision == "Deny"))


def install(services: Mapping[str, ModuleType]) -> None:
    """Put the further checks behind ministack's own.

    Parameters
    ----------
    services
        The services that are ours, by name: each knows what its requests need.
    """
    # Within: the checks that `_enforcing` adds are decisions too.
    hooks.wrap("core.iam_evaluator", "enforce", _recording_requests)
    hooks.wrap("core.iam_evaluator", "enforce", _enforcing(services))
    hooks.wrap("core.iam_evaluator", "evaluate_trust_policy", _recording_trust)
    hooks.wrap("core.iam_actions", "access_denied_response", _naming_what_was_denied)
    hooks.wrap("services.s3", "bucket_policy_for_arn", _policy_of_any_bucket)
    hooks.wrap("services.s3", "_foreign_bucket_allows", _already_judged)
    hooks.wrap("services.lambda_svc", "function_policy_for_arn", _policy_of_any_function)
