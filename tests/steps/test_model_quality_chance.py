"""How often labels without a loss are called one, and how often a loss is found: on resampled rows of the real data.

Each row is scored once, by a model that never saw it; a hold-out and later labels are drawn from these.
"""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_code.steps.quality.model_quality import Quality, assess, read_evaluation
from tests.steps.quality_kit import MODEL, Floats, evaluation, labelled

TRIALS = 400
HELD_OUT = 192  # a fifth of the rows, as the model has it


def _found(
    rng: np.random.Generator,
    size: int,
    *,
    replaced: bool = False,
    flipped: float = 0.0,
    segments: bool = True,
) -> Quality:
    features, labels, scores = labelled()
    if replaced:
        then, now = rng.integers(0, len(labels), HELD_OUT), rng.integers(0, len(labels), size)
    else:
        order = rng.permutation(len(labels))
        then, now = order[:HELD_OUT], order[HELD_OUT : HELD_OUT + size]
    later: Floats = np.where(rng.random(size) < flipped, 1 - labels[now], labels[now])
    return assess(
        later,
        scores[now],
        dict(zip(MODEL.features, features[now].T, strict=True)) if segments else None,
        read_evaluation(
            evaluation(features[then], labels[then], scores[then], MODEL.columns if segments else ())
        ),
        MODEL.monitor.model_quality,
    )


def _tell(capsys: pytest.CaptureFixture[str], told: str) -> None:
    with capsys.disabled():
        print(f"\n{told} ({TRIALS} resamples)", end="")


@pytest.mark.parametrize(("size", "replaced"), [(48, False), (192, False), (800, True)])
def test_labels_without_a_loss_are_called_one_in_one_of_a_hundred_checks_at_most(
    size: int, replaced: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(17)

    found = [_found(rng, size, replaced=replaced) for _ in range(TRIALS)]

    retrained = sum(one.action == "announce_and_retrain" for one in found) / TRIALS
    told = sum(one.verdict == "loss" for one in found) / TRIALS
    _tell(
        capsys,
        f"no loss, {size} labels{', replaced' if replaced else ''}: retrains {retrained:.2%}, says loss {told:.2%}",
    )
    assert all(one.auc is not None for one in found)
    assert retrained <= told <= 0.01


# A label that is flipped with a chance p brings an AUC of A to about A - p (2A - 1).
@pytest.mark.parametrize(
    ("size", "drop", "power"), [(48, 0.2, 0.5), (192, 0.15, 0.75), (192, 0.2, 0.95), (600, 0.15, 0.95)]
)
def test_a_drop_beyond_the_margin_is_found(
    size: int, drop: float, power: float, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(18)
    flipped = drop / (2 * 0.9046 - 1)

    found = [_found(rng, size, flipped=flipped, segments=False) for _ in range(TRIALS)]

    rate = sum(one.auc is not None and one.auc.lost for one in found) / TRIALS
    shown = float(np.mean([one.auc.drop for one in found if one.auc is not None]))
    expected = float(np.median([one.detectable for one in found if one.detectable is not None]))
    _tell(
        capsys,
        f"AUC down by {shown:.3f}, {size} labels: found in {rate:.1%}; said to be found in 80 %: {expected:.3f}",
    )
    assert shown == pytest.approx(drop, abs=0.01)
    assert rate >= power
