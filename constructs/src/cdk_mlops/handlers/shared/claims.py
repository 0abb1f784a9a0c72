"""Exactly one message: claimed with a conditional write before it is published, marked as sent afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import log
from shared.aws import AwsError, error_text
from shared.objects import Document, ObjectStore, UnreadableObject
from shared.text import parse_time

# Longer than any notifier may run: whoever claimed and is silent since then is dead, and its message would be lost.
TAKE_OVER_AFTER = timedelta(seconds=180)
# Duplicate events are normal and arrive together: waiting for the other one is no failure, and rings no alarm.
PATIENCE_SECONDS = 20


class ClaimedElsewhere(Exception):
    """Another invocation is sending this message; raised so that Lambda asks again later."""


def now_utc() -> datetime:
    """The clock; tests pass one of their own."""
    return datetime.now(UTC)


class Claims:
    """Claims of messages, each one object.

    Parameters
    ----------
    patience
        How many seconds to wait for another invocation that is sending the message. Default: not at all.
    """

    def __init__(
        self,
        store: ObjectStore,
        now: Callable[[], datetime] = now_utc,
        patience: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._now = now
        self._patience = patience
        self._sleep = sleep

    def acquire(self, key: str, request_id: str, about: dict[str, Any]) -> bool:
        """Claim a message.

        Returns
        -------
        True: the caller sends it now. False: it was sent already.

        Raises
        ------
        ClaimedElsewhere
            Another invocation claimed it less than `TAKE_OVER_AFTER` ago and hasn't sent it within our patience.
        """
        for _ in range(self._patience):
            try:
                return self._try(key, request_id, about)
            except ClaimedElsewhere as error:
                log.info("waiting for another invocation", key=key, reason=str(error))
                self._sleep(1.0)
        return self._try(key, request_id, about)

    def _try(self, key: str, request_id: str, about: dict[str, Any]) -> bool:
        claim = {**about, "state": "claimed", "request_id": request_id, "claimed_at": self._now().isoformat()}
        if self._store.create_json(key, claim):
            return True
        try:
            existing = self._store.read_json(key)
        except UnreadableObject as error:
            # a message that can't be told to be sent is sent: twice is better than never
            log.warning("the claim is unreadable and is taken over", key=key, error=str(error))
            existing = Document({"state": "claimed"}, self._store.etag(key) or "")
        if existing is None:
            raise ClaimedElsewhere(f"the claim {key} was removed while it was read")
        if existing.value.get("state") == "sent":
            return False
        if existing.value.get("request_id") == request_id:
            return True
        claimed_at = parse_time(existing.value.get("claimed_at"))
        if claimed_at is not None and self._now() - claimed_at < TAKE_OVER_AFTER:
            raise ClaimedElsewhere(
                f"another invocation ({existing.value.get('request_id')}) is sending {key}"
            )
        if self._store.replace_json(key, claim, existing.etag):
            return True
        raise ClaimedElsewhere(f"another invocation has just taken over {key}")

    def mark_sent(self, key: str, request_id: str, about: dict[str, Any]) -> None:
        """Say that the message is out.

        A failure here is logged and not raised: raising would make Lambda run again and send the message twice.
        """
        record = {**about, "state": "sent", "request_id": request_id, "sent_at": self._now().isoformat()}
        try:
            self._store.write_json(key, record)
        except AwsError as error:
            log.error("the message is out, but could not be marked as sent", key=key, error=error_text(error))
