"""Ground truth that waits: labels of a batch that was scored, which no run has judged yet.

The ground truth of the batch `<home>/batch-dataset/<name>` lies at `<home>/ground-truth/<name>`: an object, or a folder
whose files arrive over time. Three listings tell what waits, however many batches were judged before; only records of
what may wait are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from model_resolver.batches import Batch, BatchNotFound, find_batch, scored_folder, scored_key
from model_resolver.pairs import LONG_AGO, Listed, Pairs
from shared import log
from shared.aws import AwsError, Malformed, error_code, split_uri
from shared.objects import ObjectStore, UnreadableObject
from shared.quality_records import Judged, folder, read_keys, tries_key
from shared.text import is_version

GROUND_TRUTH, BATCHES = "ground-truth", "batch-dataset"
# A run that breaks is tried again by the next one, after what was tried less often; then it is left to people.
MOST_TRIES = 3
# Records that one call reads: the function's own time is 60 s. What is beyond waits for the next run.
MOST_READ = 200
# A batch that was scored so long before it was judged wasn't scored anew between looking and judging.
SURELY_BEFORE = timedelta(days=1)


class GroundTruthNotFound(Exception):
    """There is no ground truth where the run was told to look."""


class BatchNotScored(Exception):
    """The batch of the ground truth isn't there, or was never scored."""


@dataclass(frozen=True)
class Waiting:
    """Ground truth that may be judged.

    Parameters
    ----------
    ground_truth, batch
        Both are found by the same rules: SageMaker reads them alike.
    scored
        The record of the batch's last scoring.
    tries
        How many runs have begun to judge it.
    """

    ground_truth: Batch
    batch: Batch
    scored: dict[str, Any]
    tries: int = 0

    @property
    def judged(self) -> Judged:
        """What its record is called by."""
        return Judged(self.batch.digest, self.ground_truth.digest, str(self.scored["model_version"]))


@dataclass(frozen=True)
class GroundTruths:
    """The ground truth of a model, with everything it is found by."""

    open_bucket: Callable[[str], ObjectStore]
    own: ObjectStore
    model_name: str

    def named(self, uri: str) -> Waiting:
        """Find the ground truth that a run was started with; it may have been judged before.

        Raises
        ------
        GroundTruthNotFound
            Nothing is there, or it lies where no ground truth is.
        BatchAmbiguous
            SageMaker would read more than it.
        BatchNotScored
            Its batch isn't there, or was never scored.
        """
        home, name = _split(uri)
        try:
            ground_truth = find_batch(self.open_bucket, uri)
        except BatchNotFound:
            raise GroundTruthNotFound(
                f"{uri} does not exist or is empty: lay the labels (CSV: id,label) of the batch"
                f" {home}/{BATCHES}/{name} there, or name others with INPUT=<address> (parameter ground_truth_input)"
            ) from None
        wanted = f"{home}/{BATCHES}/{name}"
        try:
            batch = find_batch(self.open_bucket, wanted)
        except BatchNotFound:
            raise BatchNotScored(
                f"the batch {wanted}, whose ground truth is {ground_truth.uri}, does not exist: ground truth is called"
                " as its batch"
            ) from None
        scored = self._scored(batch)
        if scored is None:
            raise BatchNotScored(
                f"the batch {batch.uri}, whose ground truth is {ground_truth.uri}, was not scored as it lies there now:"
                " score it, then judge it"
            )
        return Waiting(ground_truth, batch, scored)

    def waiting(self, uri: str) -> tuple[Waiting | None, int]:
        """Find the ground truth that has waited longest, and how many more wait.

        What was tried less often comes first: ground truth that no run can read must not keep others waiting.
        """
        found: list[tuple[int, datetime, Waiting]] = []
        read = unread = 0
        records, tried = read_keys(self.model_name, self.own.listing(folder(self.model_name)))
        for ground_truth, arrived, batch, doubtful in self._unjudged(uri, records, tried):
            if read == MOST_READ:
                unread += not doubtful
                continue
            read += 1
            scored = self._scored(batch)
            if scored is None:
                continue
            one = Waiting(ground_truth, batch, scored)
            if one.judged in records:
                continue
            tries = self.tries(one.judged) if one.judged in tried else 0
            if tries >= MOST_TRIES:
                log.warning(
                    "the ground truth was tried often enough: mend it, or name it to a run",
                    ground_truth=ground_truth.uri,
                    tries=tries,
                )
                continue
            found.append((tries, arrived, Waiting(ground_truth, batch, scored, tries)))
        if not found:
            return None, 0
        first = min(found, key=lambda one: (one[0], one[1], one[2].ground_truth.uri))
        return first[2], len(found) + unread - 1

    def _unjudged(
        self, uri: str, records: dict[Judged, datetime | None], tried: set[Judged]
    ) -> Iterator[tuple[Batch, datetime, Batch, bool]]:
        """Yield what the listings don't tell to be judged, and whether a record makes it doubtful.

        In the order in which it should be read: what no run has tried, what one has, both from the oldest on; then what
        was judged soon after its batch was scored, the newest first.
        """
        bucket, key = split_uri(uri)
        root = f"{key.rstrip('/')}/"
        batches = f"{root.removesuffix(f'{GROUND_TRUTH}/')}{BATCHES}/"
        store = self.open_bucket(bucket)
        truths = Listed(bucket, store.listing(root))
        scored = {item.key: item for item in self.own.listing(scored_folder(self.model_name))}
        pairs = Pairs(root, truths, batches, Listed(bucket, store.listing(batches)), self.model_name, scored)
        arrived: dict[tuple[Batch, Batch], datetime] = {}
        for item in truths.objects:
            pair = pairs.of(item) if item.size else None
            if pair is not None:
                arrived[pair] = max(item.modified or LONG_AGO, arrived.get(pair, LONG_AGO))
        pairs.tell()
        judged: dict[tuple[str, str], list[datetime]] = {}
        for one, when in records.items():
            judged.setdefault((one.batch_digest, one.ground_truth_digest), []).append(when or LONG_AGO)
        begun = {(one.batch_digest, one.ground_truth_digest) for one in tried}
        order: list[tuple[int, float, Batch, datetime, Batch]] = []
        for (ground_truth, batch), since in arrived.items():
            both = (batch.digest, ground_truth.digest)
            last = scored[scored_key(self.model_name, batch.digest)].modified or LONG_AGO
            if any(when - last > SURELY_BEFORE for when in judged.get(both, [])):
                continue
            rank = 2 if both in judged else int(both in begun)
            age = since.timestamp() * (-1 if rank == 2 else 1)
            order.append((rank, age, ground_truth, since, batch))
        for rank, _, ground_truth, since, batch in sorted(order, key=lambda one: (*one[:2], one[2].uri)):
            yield ground_truth, since, batch, rank == 2

    def _scored(self, batch: Batch) -> dict[str, Any] | None:
        """The record of a batch's last scoring; None where there is none that can be used."""
        key = scored_key(self.model_name, batch.digest)
        try:
            record = self.own.read_json(key)
        except UnreadableObject as error:
            log.warning("the record of a scored batch is unreadable", batch=batch.uri, error=str(error))
            return None
        if record is None:
            return None
        if not is_version(str(record.value.get("model_version"))) or not record.value.get("predictions_uri"):
            log.warning(
                "the record of a scored batch names no version or predictions", batch=batch.uri, key=key
            )
            return None
        return record.value

    def tries(self, judged: Judged) -> int:
        """How many runs have begun to judge it."""
        try:
            record = self.own.read_json(tries_key(self.model_name, judged))
            return int(record.value.get("tries", 0)) if record else 0
        except (UnreadableObject, ValueError, TypeError):
            return 0

    def note(self, waiting: Waiting, execution_id: str) -> None:
        """Write down that a run begins to judge it; a refusal is logged."""
        key = tries_key(self.model_name, waiting.judged)
        note = {
            "tries": waiting.tries + 1,
            "execution_id": execution_id,
            "ground_truth_uri": waiting.ground_truth.uri,
            "batch_uri": waiting.batch.uri,
        }
        try:
            self.own.write_json(key, note)
        except AwsError as error:
            log.error("the try could not be written down", key=key, error=error_code(error))


def is_everything(uri: str) -> bool:
    """Whether a run is to look for what waits: it was told the folder of all ground truth."""
    return uri.rstrip("/").endswith(f"/{GROUND_TRUTH}")


def _split(uri: str) -> tuple[str, str]:
    """Split the URI of a batch's ground truth into what lies above, and the batch's name."""
    try:
        bucket, key = split_uri(uri)
    except Malformed as error:
        raise GroundTruthNotFound(f"ground_truth_input is no S3 URI: {error}") from error
    home, between, name = key.rstrip("/").partition(f"/{GROUND_TRUTH}/")
    if not between or not name:
        raise GroundTruthNotFound(
            f"{uri} is no place of ground truth: the labels of <model_name>/data/{BATCHES}/<name> lie at"
            f" <model_name>/data/{GROUND_TRUTH}/<name>"
        )
    return f"s3://{bucket}/{home}", name
