"""Whether drift has lasted: k of the last n batches, each compared with the version that is in use now.

A batch that broke a constraint says nothing about the world and is passed over; one that was run again counts once,
by its newest run. Checks leave no record and so never
count. A record that can't be read is retried, not taken for a batch without drift: whoever asked
to wait for k batches must not wait for ever.
"""

from __future__ import annotations

from retrain.triggers import Trigger
from shared.history import batch_of, folder
from shared.objects import ObjectStore

DRIFT, VIOLATION = "drift", "violation"
MOST_READ = 100  # records, however many of them are passed over


def too_few(store: ObjectStore, model_name: str, trigger: Trigger, drifted: int, of: int) -> str:
    """Return why this drift retrains nothing yet, or nothing where it does.

    Parameters
    ----------
    drifted, of
        How many of how many batches must have drifted, this one included.
    """
    if trigger.cause != DRIFT or drifted <= 1:
        return ""
    verdicts = _verdicts(store, model_name, trigger, of)
    count = verdicts.count(DRIFT)
    if count >= drifted:
        return ""
    counted = f"{count} of the last {len(verdicts)} batches drifted"
    if len(verdicts) == 1:
        counted = "this is the first batch that was compared with the version in use"
    return (
        f"{counted}, and this model retrains after {drifted} of {of}"
        " (monitor.retrain_after in model.yaml): wait for the next batches, or start the train pipeline yourself"
    )


def _verdicts(store: ObjectStore, model_name: str, trigger: Trigger, of: int) -> list[str]:
    """Return what was found about the newest batches up to this one, newest first."""
    keys = [item.key for item in store.listing(folder(model_name)) if item.key.endswith(".json")]
    own = [place for place, key in enumerate(keys) if key.endswith(f"-{trigger.execution_id}.json")]
    found = [DRIFT]  # this batch, whose record may be late
    seen = {batch_of(record.value)} if own and (record := store.read_json(keys[own[0]])) else set()
    earlier = keys[: own[0]] if own else keys
    for key in reversed(earlier[-MOST_READ:]):
        if len(found) == of:
            break
        record = store.read_json(key)
        if record is None:
            continue
        verdict = str(record.value.get("verdict", ""))
        # another version has another baseline: what drifted from it may be what this one was trained on
        same = not trigger.model_version or record.value.get("model_version") == trigger.model_version
        batch = batch_of(record.value)
        if same and verdict != VIOLATION and batch not in seen:
            found.append(verdict)
            seen.add(batch)
    return found
