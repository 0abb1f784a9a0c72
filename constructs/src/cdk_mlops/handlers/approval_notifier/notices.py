"""Which messages went out: exactly one for each time that a version takes a status.

SageMaker may send several events for one change. Each message is claimed as an object
`_state/notices/<group>/<version>-<status>.json`; where a version takes a status again (approved, rejected, approved),
the next is called `<version>-<status>-2.json`, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.objects import ObjectStore, UnreadableObject
from shared.text import parse_time

FOLDER = "_state/notices"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Notice:
    """One message that was claimed or sent."""

    key: str
    status: str
    event_time: datetime


def notice_key(store: ObjectStore, group: str, version: int, status: str, event_time: datetime) -> str:
    """Key of the claim to take for an event.

    A status that was never told is told, however late. One that was told is told again only where another one came in
    between: the event is younger than the last message, and that told of another status. Else the key is that of the
    message which was claimed already; its claim tells whether it is out.
    """
    told = _told(store, f"{FOLDER}/{group}/{version}-")
    same = [notice for notice in told if notice.status == status]
    first = f"{FOLDER}/{group}/{version}-{status}"
    if not same:
        return f"{first}.json"
    last = max(told, key=lambda notice: notice.event_time)
    if last.status != status and event_time > last.event_time:
        return f"{first}-{len(same) + 1}.json"
    return max(same, key=lambda notice: notice.event_time).key


def about(status: str, event_time: datetime, **more: Any) -> dict[str, Any]:
    """What a claim records, so that `notice_key` can read it."""
    return {"status": status, "event_time": event_time.isoformat(), **more}


def _told(store: ObjectStore, prefix: str) -> list[Notice]:
    notices = []
    for item in store.listing(prefix):
        try:
            document = store.read_json(item.key)
        except UnreadableObject:
            document = None
        value = document.value if document else {}
        status = str(value.get("status") or item.key.removeprefix(prefix).removesuffix(".json").split("-")[0])
        notices.append(Notice(item.key, status, parse_time(value.get("event_time")) or _BEGINNING))
    return notices
