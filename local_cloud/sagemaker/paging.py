"""Filters, order and pages of the List operations."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from local_cloud.sagemaker.errors import invalid
from local_cloud.sagemaker.store import Record

DEFAULT_PAGE = 10


def created_within(record: Record, request: dict[str, Any], field: str = "CreationTime") -> bool:
    """Say whether a record was made in the time that a request asks for."""
    after = request.get("CreationTimeAfter", request.get("CreatedAfter"))
    before = request.get("CreationTimeBefore", request.get("CreatedBefore"))
    moment = record[field]
    return (after is None or moment > after) and (before is None or moment < before)


def page(
    records: list[Record],
    request: dict[str, Any],
    *,
    sort_keys: dict[str, Callable[[Record], Any]],
    default_key: str,
    default_order: str,
    default_size: int = DEFAULT_PAGE,
) -> tuple[list[Record], dict[str, str]]:
    """Return one page of records and, where there are more, the member that leads to the next.

    Parameters
    ----------
    records
        All records that the request's filters let through, oldest first.
    request
        May hold ``SortBy``, ``SortOrder``, ``MaxResults`` and ``NextToken``.
    sort_keys
        What to sort by, for each value of ``SortBy``.
    default_key, default_order, default_size
        Where the request doesn't say.

    Raises
    ------
    ServiceError
        The token isn't one that a request like this has got.
    """
    order, by = request.get("SortOrder", default_order), request.get("SortBy", default_key)
    # Of two records made in one instant the later one counts as newer: the store keeps them in that order.
    ordered = sorted(enumerate(records), key=lambda item: (sort_keys[by](item[1]), item[0]))
    if order == "Descending":
        ordered.reverse()
    asked = {name: value for name, value in request.items() if name not in ("NextToken", "MaxResults")}
    start = _offset(request.get("NextToken"), asked)
    end = start + int(request.get("MaxResults", default_size))
    shown = [record for _, record in ordered[start:end]]
    return shown, {"NextToken": _token(end, asked)} if end < len(ordered) else {}


def _token(offset: int, asked: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(
        json.dumps([offset, asked], sort_keys=True, default=str).encode()
    ).decode()


def _offset(token: str | None, asked: dict[str, Any]) -> int:
    if not token:
        return 0
    try:
        offset, same = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        raise invalid("NextToken isn't valid") from None
    if same != json.loads(json.dumps(asked, default=str)):
        raise invalid("NextToken isn't valid: it was given for a request with other filters")
    return int(offset)
