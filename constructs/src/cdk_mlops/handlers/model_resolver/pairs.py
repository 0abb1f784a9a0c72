"""Which batch a file of ground truth is about, told from listings alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from model_resolver.batches import Batch, BatchAmbiguous, BatchNotFound, find_batch, scored_key
from shared import log
from shared.objects import ObjectStore, ObjectSummary

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = 20  # what the log names of what is passed over


class Listed(ObjectStore):
    """One listing of a bucket, searched in memory as the bucket would be."""

    def __init__(self, bucket: str, objects: list[ObjectSummary]) -> None:
        super().__init__(None, bucket)
        self.objects = objects
        self._keys = [item.key for item in objects]

    def listing(self, prefix: str) -> list[ObjectSummary]:
        """All objects whose key begins with `prefix`, in the order of their keys."""
        start = end = bisect_left(self._keys, prefix)
        while end < len(self._keys) and self._keys[end].startswith(prefix):
            end += 1
        return self.objects[start:end]


@dataclass(frozen=True)
class Pairs:
    """Ground truth and the scored batches that are called as it. Each name is looked up once.

    Parameters
    ----------
    root, truths
        Key prefix of all ground truth, and its listing.
    batch_root, batches
        Key prefix of all batches, and their listing.
    scored
        Records of scored batches, by their keys.
    """

    root: str
    truths: Listed
    batch_root: str
    batches: Listed
    model_name: str
    scored: Mapping[str, ObjectSummary]
    _known: dict[str, tuple[Batch, Batch] | None] = field(default_factory=dict)
    _passed: dict[str, str] = field(default_factory=dict)

    def of(self, item: ObjectSummary) -> tuple[Batch, Batch] | None:
        """Find ground truth and batch that a file is about: called as the file, or as the nearest folder of it."""
        name = item.key.removeprefix(self.root)
        if not name:
            return None
        try:
            while True:
                if (pair := self._called(name)) or not name:
                    break
                # at last the folder of all batches, which a model may score as one
                name = name.rpartition("/")[0]
        except BatchAmbiguous as error:
            self._passed[item.key] = str(error)
            return None
        if pair is None:
            self._passed[item.key] = "no batch of that name was scored"
        return pair

    def tell(self) -> None:
        """Log what was passed over: labels may come before the scoring, or be misnamed."""
        if self._passed:
            first = dict(list(self._passed.items())[:_NAMED])
            log.info("ground truth is passed over", count=len(self._passed), first=first)

    def _called(self, name: str) -> tuple[Batch, Batch] | None:
        if name not in self._known:
            self._known[name] = self._look(name)
        return self._known[name]

    def _look(self, name: str) -> tuple[Batch, Batch] | None:
        try:
            batch = find_batch(lambda _: self.batches, self.batches.uri(f"{self.batch_root}{name}"))
        except BatchNotFound:
            return None
        if scored_key(self.model_name, batch.digest) not in self.scored:
            return None
        return find_batch(lambda _: self.truths, self.truths.uri(f"{self.root}{name}")), batch
