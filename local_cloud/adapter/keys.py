"""KMS across accounts: keys by the ARN or alias ARN of another account, and their aliases."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from local_cloud.adapter import hooks
from local_cloud.adapter.identity import account_of
from local_cloud.adapter.request import current_request

_KEY_ID_LENGTH = 36
_READS_CIPHERTEXT = ("Decrypt", "ReEncrypt")


def find_key(reference: str) -> dict[str, Any] | None:
    """Find a key by id, alias, key ARN or alias ARN, the ARNs of any account.

    Parameters
    ----------
    reference
        What an API call or a bucket's encryption names; a bare id or alias belongs to the account in scope.
    """
    kms, responses = hooks.module("services.kms"), hooks.module("core.responses")
    if not reference.startswith("arn:"):
        local: dict[str, Any] | None = kms._resolve_key(reference)
        return local
    parts = reference.split(":")
    if len(parts) < 6:
        return None
    with responses.request_scope(parts[4], parts[3]):
        foreign: dict[str, Any] | None = kms._resolve_key(reference)
    return foreign


def aliases_of(key: dict[str, Any]) -> list[str]:
    """Alias names (``alias/...``) of a key: the values of ``kms:ResourceAliases``."""
    account, region = account_of(key["Arn"]), key["Arn"].split(":")[3]
    aliases = hooks.module("services.kms")._aliases.items_scoped(account, region)
    return sorted(str(arn).split(":", 5)[5] for arn, key_id in aliases if key_id == key["KeyId"])


def _key_of_ciphertext(body: dict[str, Any]) -> dict[str, Any] | None:
    """Find the key that a ciphertext names, in whichever account it is."""
    try:
        key_id = base64.b64decode(body.get("CiphertextBlob", ""))[:_KEY_ID_LENGTH].decode("ascii")
    except ValueError:
        return None
    keys = hooks.module("services.kms")._keys.all_values()
    return next((key for key in keys if key.get("KeyId") == key_id), None)


def requested_key(body: dict[str, Any]) -> dict[str, Any] | None:
    """Find the key that a KMS request acts on."""
    reference = body.get("KeyId") or body.get("TargetKeyId") or ""
    return find_key(str(reference)) if reference else _key_of_ciphertext(body)


def condition_context(key: dict[str, Any], *, via: str | None = None) -> dict[str, Any]:
    """The condition keys of a call on a key.

    Parameters
    ----------
    key
        The key's record.
    via
        The service that calls for its principal, e.g. ``s3.us-east-1.amazonaws.com``. Default: a direct call.
    """
    context: dict[str, Any] = {"kms:resourcealiases": aliases_of(key)}
    if via:
        context["kms:viaservice"] = via
    return context


def _resolve(original: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(reference: Any) -> Any:
        found = original(reference)
        if found is not None or not isinstance(reference, str):
            return found
        responses = hooks.module("core.responses")
        if reference.startswith("arn:aws:kms:") and reference.count(":") >= 5:
            _, _, _, region, account, _ = reference.split(":", 5)
            if account == responses.get_account_id():
                return None
            with responses.request_scope(account, region):
                return original(reference)
        target = current_request().headers.get("x-amz-target", "").rpartition(".")[2]
        if target in _READS_CIPHERTEXT and len(reference) == _KEY_ID_LENGTH:
            # The id comes from the ciphertext; the permission check has already judged the key it names.
            return _key_of_ciphertext(current_request().json())
        return None

    return resolve


def _policy_of(_original: Callable[..., Any]) -> Callable[..., Any]:
    def key_policy_for_arn(resource_arn: str) -> tuple[str, str] | None:
        key = find_key(resource_arn)
        return (key.get("Policy") or "", account_of(key["Arn"])) if key else None

    return key_policy_for_arn


def install() -> None:
    """Let KMS find the keys of other accounts; whether a caller may use one, its policy decides."""
    hooks.wrap("services.kms", "_resolve_key", _resolve)
    hooks.wrap("services.kms", "key_policy_for_arn", _policy_of)
