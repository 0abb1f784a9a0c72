"""Tags of resources, by ARN."""

from __future__ import annotations

from typing import Any

from local_cloud.sagemaker.arns import Reference, Scope, parse_arn
from local_cloud.sagemaker.errors import invalid
from local_cloud.sagemaker.store import Store

_TAGS = "tags"
LIMIT = 50


class Tags:
    """The operations on tags."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @staticmethod
    def _place(arn: str) -> Reference:
        found = parse_arn(arn)
        return Reference(found.scope, _TAGS, f"{found.kind}/{found.name}")

    def of(self, arn: str) -> dict[str, str]:
        """Return a resource's tags."""
        record = self._store.get(self._place(arn))
        return dict(record or {})

    def put(self, arn: str, tags: list[dict[str, str]]) -> None:
        """Add tags to a resource, or change their values."""
        together = {**self.of(arn), **{tag["Key"]: tag["Value"] for tag in tags}}
        if len(together) > LIMIT:
            raise invalid(f"{arn} would have {len(together)} tags, at most {LIMIT} are allowed")
        self._store.put(self._place(arn), together)

    def forget(self, arn: str) -> None:
        """Drop a resource's tags."""
        self._store.remove(self._place(arn))

    def _existing(self, arn: str) -> str:
        found = parse_arn(arn)
        if self._store.get(found) is None:
            raise invalid(f"Could not find resource {arn}")
        return found.arn

    def add_tags(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """AddTags."""
        arn = self._existing(request["ResourceArn"])
        self.put(arn, request["Tags"])
        return {"Tags": _listed(self.of(arn))}

    def list_tags(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """ListTags."""
        return {"Tags": _listed(self.of(self._existing(request["ResourceArn"])))}

    def delete_tags(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """DeleteTags."""
        arn = self._existing(request["ResourceArn"])
        kept = {key: value for key, value in self.of(arn).items() if key not in request["TagKeys"]}
        self._store.put(self._place(arn), kept)
        return {}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
