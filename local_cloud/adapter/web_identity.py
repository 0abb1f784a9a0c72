"""CloudFormation: an account's OpenID Connect providers, by which CI systems become roles without keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_cloud.adapter import hooks

Properties = dict[str, Any]
_PROVIDER = "AWS::IAM::OIDCProvider"


def _members(key: str, values: list[str]) -> dict[str, str]:
    return {f"{key}.member.{number}": value for number, value in enumerate(values, start=1)}


def _handlers() -> dict[str, Callable[..., Any]]:
    def create(_logical_id: str, props: Properties, _stack: str) -> tuple[str, Properties]:
        iam = hooks.module("services.iam")
        request = {"Url": props["Url"], **_members("ClientIDList", props.get("ClientIdList") or [])}
        request |= _members("ThumbprintList", props.get("ThumbprintList") or [])
        host = str(props["Url"]).split("://")[-1].rstrip("/")
        arn = f"arn:aws:iam::{hooks.module('core.responses').get_account_id()}:oidc-provider/{host}"
        status, _, _ = iam._create_oidc_provider(request)
        if status >= 400:
            raise ValueError(f"OIDC provider {arn} already exists.")
        return arn, {"Arn": arn}

    def update(arn: str, _old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
        provider = hooks.module("services.iam")._oidc_providers[arn]
        provider["ClientIDList"] = list(new.get("ClientIdList") or [])
        provider["ThumbprintList"] = list(new.get("ThumbprintList") or [])
        return arn, {"Arn": arn}

    def delete(arn: str, _props: Properties) -> None:
        hooks.module("services.iam")._delete_oidc_provider({"OpenIDConnectProviderArn": arn})

    return {"create": create, "update": update, "delete": delete}


def install() -> None:
    """Teach CloudFormation the type."""
    provisioners = hooks.module("services.cloudformation.provisioners")
    provisioners._RESOURCE_HANDLERS[_PROVIDER] = _handlers()
    provisioners._REPLACING_PROPERTIES[_PROVIDER] = ("Url",)
