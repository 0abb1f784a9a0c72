"""The places in ministack that the adapter hooks into, and the check that they are still there."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any

KNOWN_VERSION = "1.5.33"

#: Module of ministack -> the names in it that the adapter replaces or calls.
HOOK_POINTS: dict[str, tuple[str, ...]] = {
    "app": (
        "AUTH",
        "app",
        "SERVICE_REGISTRY",
        "SERVICE_HANDLERS",
        "_MAIN_LOOP",
        "_lazy_handler",
        "_state_map",
        "_handle_special_data_plane_request",
        "pin_request_origin",
    ),
    "core.router": ("SERVICE_PATTERNS",),
    "core.responses": ("request_scope", "get_account_id", "get_region"),
    "core.iam_actions": ("SERVICE_TO_IAM_NAMESPACE", "access_denied_response", "identity_denial_message"),
    "core.iam_evaluator": (
        "AuthError",
        "EvalContext",
        "EvalResult",
        "ParsedStatement",
        "_RESOURCE_POLICY_LOOKUPS",
        "_first_match",
        "_gather_role_policies",
        "_permissions_boundary",
        "_principal_keys",
        "_principal_matches",
        "_resolve_condition_key",
        "_resource_policy",
        "_POLICY_REQUIRED",
        "combine_resource_policy",
        "enforce",
        "evaluate",
        "evaluate_resource_policy",
        "evaluate_trust_policy",
        "parse_policy_document",
        "resolve_principal",
    ),
    "core.lambda_runtime": ("execution_credentials",),
    "services.iam": (
        "_roles",
        "_mfa_devices",
        "_create_oidc_provider",
        "_delete_oidc_provider",
        "_oidc_providers",
        "_gen_secret",
        "_gen_session_access_key",
        "_gen_session_token",
    ),
    "services.sts": ("_sessions", "_caller_identity", "register_session", "_principal_keys"),
    "services.kms": ("_keys", "_alias_arn", "_aliases", "_resolve_key", "key_policy_for_arn"),
    "services.s3": (
        "_bucket_default_sse_headers",
        "_bucket_encryption",
        "_bucket_logging_config",
        "_bucket_owner_account",
        "_bucket_policies",
        "_buckets",
        "_foreign_bucket_allows",
        "_object_record_from_version",
        "_object_versions",
        "_put_bucket_lifecycle",
        "_resolve_sse_write_headers",
        "_delete_bucket_lifecycle",
        "bucket_policy_for_arn",
    ),
    "services.cloudtrail": (
        "_create_trail",
        "_update_trail",
        "_delete_trail",
        "_put_event_selectors",
        "_start_logging",
        "_stop_logging",
    ),
    "services.cloudwatch": ("_dispatch_alarm_actions", "_evaluate_alarm", "_metrics", "_dims_key"),
    "services.sns": (
        "_deliver_to_lambda",
        "_fanout",
        "_topic_by_arn_any_scope",
        "publish_internal",
        "topic_policy_allows",
    ),
    "services.sqs": ("_queue_by_arn", "queue_policy_allows"),
    "services.ec2": ("_create_flow_logs", "_flow_logs", "_security_groups", "_vpcs"),
    "services.eventbridge": (
        "_apply_input_transformer",
        "_dispatch_event",
        "_dispatch_to_sqs",
        "_ensure_default_bus",
        "_event_bus_policies",
        "_event_buses",
        "_invoke_target",
        "_pattern_event_view",
        "_put_events",
        "_put_permission",
        "_remove_permission",
        "start_scheduler",
    ),
    "services.scheduler": ("_schedules", "_schedule_arn", "_group_arn", "start_scheduler"),
    "services.lambda_svc": (
        "_execution_record_for_config",
        "_get_func_record_for_ref",
        "_route_async_failure",
        "function_policy_for_arn",
        "invoke_async_with_retry",
    ),
    "services.codebuild": ("_builds", "_projects", "_start_build"),
    "services.cloudformation.changesets": ("_deploy_stack_async",),
    "services.cloudformation.custom_resource": ("deliver_response", "invoke_custom_resource"),
    "services.cloudformation.helpers": ("_p", "_resolve_document"),
    "services.cloudformation.provisioners": (
        "_RESOURCE_HANDLERS",
        "_ec2_sg_permissions",
        "_physical_name",
        "_REPLACING_PROPERTIES",
        "s3_bucket_name_conflict",
    ),
    "services.cloudformation.stacks": ("_deploy_stack_async",),
}


class MissingHookError(RuntimeError):
    """ministack has changed where the adapter holds on to it; the message is one line."""


def module(name: str) -> Any:
    """Import a module of ministack, by its name below the package; Any, because it has no types."""
    return importlib.import_module(f"ministack.{name}")


def check_hook_points() -> None:
    """Check that every hook point exists.

    Raises
    ------
    MissingHookError
        Names the missing ones and the version that the adapter knows.
    """
    missing = []
    for name, attributes in HOOK_POINTS.items():
        try:
            found = module(name)
        except ImportError:
            missing.append(f"ministack.{name}")
            continue
        missing += [
            f"ministack.{name}.{attribute}" for attribute in attributes if not hasattr(found, attribute)
        ]
    if missing:
        raise MissingHookError(
            f"ministack {importlib.metadata.version('ministack')} lacks {', '.join(missing)}; "
            f"the embedded cloud knows version {KNOWN_VERSION}: pip install ministack=={KNOWN_VERSION}"
        )


def wrap(name: str, attribute: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a function of ministack by what `make` builds around it."""
    target = module(name)
    setattr(target, attribute, make(getattr(target, attribute)))
