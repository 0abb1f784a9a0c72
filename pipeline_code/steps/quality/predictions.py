"""What a model makes of a batch: its scores, and which features they come from, against those at training.

At training is on the hold-out: a model is surer of rows that it was trained on than of any later ones. Both are kept
in the baseline's statistics.json, as the feature ``(prediction)`` (decision 13).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..boosting import load_xgboost
from ..program import UsageError
from .constraints import Config, FeatureConstraint
from .drift import Comparison
from .profile import ColumnProfile, Points, with_points
from .statistics import describe_column

Floats = NDArray[np.float64]

PREDICTION, ATTRIBUTIONS = "(prediction)", "(attributions)"
# Rows of a batch that are scored, and of which contributions are computed, at random where there are more.
SCORED, EXPLAINED = 1_000_000, 10_000
DIGITS = 5
# Model Monitor's limit of NDCG; and how much of all attribution must have moved to other features.
NDCG_LIMIT, MOVED_LIMIT = 0.9, 0.1
UNSEEN = 0.2  # a move of so much that chance alone may show isn't seen
DRAWS = 2_000
FEWEST = 30  # rows below which their own covariance says little about chance


@dataclass(frozen=True, kw_only=True)
class Attributed:
    """Mean absolute contributions of features to the scores of some rows.

    Attributes
    ----------
    spread
        Covariance of a row's absolute contributions; nothing where it isn't known.
    """

    rows: int
    means: Floats
    spread: Floats | None = None

    @property
    def shares(self) -> Floats:
        """Each feature's share of all contributions."""
        return shares(self.means)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a model made of rows.

    Attributes
    ----------
    rows
        How many there are; where they are many, only a random part of them was scored.
    points
        The scores, rounded, each with how many rows have it.
    """

    rows: int
    points: Points
    attributed: Attributed

    @property
    def column(self) -> ColumnProfile:
        """The scores as a feature."""
        return _column(self.points)


def score_points(scores: Floats) -> Points:
    """Return the distribution of scores.

    They are rounded: on another processor a score may differ in its last digit, and tied scores must stay tied.
    """
    size = np.floor(np.log10(np.where(scores == 0, 1, np.abs(scores))))
    scale = 10.0 ** (DIGITS - 1 - np.clip(size, -30, 30))
    values, counts = np.unique(np.round(scores * scale) / scale, return_counts=True)
    return Points(values, counts.astype(np.float64))


def prediction_column(scores: Floats) -> ColumnProfile:
    """Return scores as a feature."""
    return _column(score_points(scores))


def _column(points: Points) -> ColumnProfile:
    present = int(points.total)
    profile = ColumnProfile(name=PREDICTION, inferred_type="Fractional", present=present, missing=0)
    return with_points(profile, points)


def describe_predictions(scores: Floats, contributions: Floats, names: Sequence[str]) -> dict[str, Any]:
    """Return the feature ``(prediction)`` of statistics.json.

    Parameters
    ----------
    contributions
        Rows by features.
    """
    means = np.abs(contributions).mean(axis=0)
    described = describe_column(prediction_column(scores))
    return described | {
        "attributions": {"rows": len(scores), "means": dict(zip(names, means.tolist(), strict=True))}
    }


def known_attributions(statistics: dict[str, Any], names: Sequence[str]) -> Attributed | None:
    """Return the attributions at training that statistics.json holds, or nothing where it holds none.

    Raises
    ------
    UsageError
        They aren't those of these features.
    """
    held = {item["name"]: item for item in statistics["features"]}.get(PREDICTION, {}).get("attributions")
    if held is None:
        return None
    try:
        means = np.array([float(held["means"][name]) for name in names])
        if not (np.isfinite(means).all() and (means >= 0).all() and int(held["rows"]) > 0):
            raise ValueError("a mean absolute contribution is a number of at least 0, of some rows")
        return Attributed(rows=int(held["rows"]), means=means)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"statistics.json of the baseline holds no attributions of the model's features: {error!r}"
        ) from None


def constraint(config: Config) -> FeatureConstraint:
    """Return what the scores must satisfy: only their distribution is looked at."""
    return FeatureConstraint(
        name=PREDICTION, inferred_type="Fractional", completeness=0.0, domains=frozenset(), config=config
    )


def score_rows(booster: Any, features: Floats) -> Floats:
    """Return a score for each row.

    Raises
    ------
    UsageError
        The model gives something else.
    """
    xgboost = load_xgboost()
    scores: Floats = booster.predict(xgboost.DMatrix(features), validate_features=False).astype("float64")
    if scores.shape != (len(features),) or not np.isfinite(scores).all():
        raise UsageError("a model that gives other than one number a row can't be judged")
    return scores


def contributions(booster: Any, features: Floats) -> Floats:
    """Return each feature's SHAP contribution to the log odds of each row."""
    xgboost = load_xgboost()
    found: Floats = booster.predict(xgboost.DMatrix(features), pred_contribs=True, validate_features=False)
    return found[:, :-1].astype("float64")


def score_batch(booster: Any, prepared: Sequence[Path], rows: int, width: int) -> Scored:
    """Score the rows of a batch as prepare has written them.

    Parameters
    ----------
    prepared
        Files with a line ``id,features...`` a row.
    rows
        How many there are in all, about.
    width
        Features that a row has.

    Raises
    ------
    UsageError
        The model wants another number of features.
    """
    if booster.num_features() != width:
        raise UsageError(f"the model expects {booster.num_features()} features, model.json has {width}")
    rng = np.random.default_rng(0)
    found = []
    explained = np.empty((0, width))
    for part in _some(_parts(prepared, width), SCORED / max(rows, 1), rng):
        found.append(score_rows(booster, part))
        kept = part[rng.random(len(part)) < EXPLAINED / min(max(rows, 1), SCORED)]
        explained = np.vstack((explained, np.abs(contributions(booster, kept)))) if len(kept) else explained
    return Scored(
        rows=rows,
        points=score_points(np.concatenate(found) if found else np.empty(0)),
        attributed=attributed(explained),
    )


def attributed(found: Floats) -> Attributed:
    """Return what absolute contributions, rows by features, add up to."""
    if len(found) < 2:
        return Attributed(rows=len(found), means=found.sum(axis=0))
    spread = np.atleast_2d(np.cov(found, rowvar=False))
    return Attributed(rows=len(found), means=found.mean(axis=0), spread=spread)


def _parts(prepared: Sequence[Path], width: int) -> Iterator[Floats]:
    import pyarrow
    from pyarrow import csv

    names = ["id", *(str(place) for place in range(width))]
    types = {name: pyarrow.float64() for name in names[1:]} | {"id": pyarrow.string()}
    for path in prepared:
        if not path.stat().st_size:
            continue
        reader = csv.open_csv(
            path,
            read_options=csv.ReadOptions(column_names=names),
            convert_options=csv.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=False
            ),
        )
        for batch in reader:
            columns = [batch.column(place + 1).to_numpy(zero_copy_only=False) for place in range(width)]
            yield np.column_stack(columns).astype("float64")


def _some(parts: Iterable[Floats], share: float, rng: np.random.Generator) -> Iterator[Floats]:
    for part in parts:
        kept = part if share >= 1 else part[rng.random(len(part)) < share]
        if len(kept):
            yield kept


def shares(means: Floats) -> Floats:
    """Return what parts of all contributions are each feature's; equal ones where there is no contribution at all."""
    whole = means.sum(axis=-1, keepdims=True)
    return np.divide(means, whole, out=np.full_like(means, 1 / means.shape[-1]), where=whole > 0)


def ndcg(now: Floats, then: Floats) -> float:
    """Return how well the order of features now ranks the attributions at training: 1 is the same order.

    As Model Monitor does it: the attributions at training, in today's order, discounted by place.
    See https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-model-monitor-feature-attribution-drift.html
    """
    discount = 1 / np.log2(np.arange(2, len(then) + 2))
    best = float((np.sort(then)[::-1] * discount).sum())
    return float((then[np.argsort(-now, kind="stable")] * discount).sum()) / best if best else 1.0


@dataclass(frozen=True, kw_only=True)
class AttributionDrift:
    """Attributions of a batch against those at training.

    Attributes
    ----------
    ndcg
        Of the order of features.
    moved
        Total variation of the shares: how much of all attribution has gone to other features.
    noise
        What it reaches by chance with the chance that a finding may have.
    chance
        How likely so much is where nothing has changed.
    """

    names: tuple[str, ...]
    now: Attributed
    then: Attributed
    ndcg: float
    moved: float
    noise: float
    chance: float
    drifted: bool

    @property
    def comparison(self) -> Comparison:
        """The same as a feature's: the distance is what has moved."""
        return Comparison(
            name=ATTRIBUTIONS,
            distance=self.moved,
            simple=self.moved,
            threshold=MOVED_LIMIT,
            method="Attributions",
            p_value=self.chance,
            drifted=self.drifted,
            low_power=not self.drifted and self.noise > UNSEEN,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what verdict.json holds, the features at training's order."""
        before, after = self.then.shares, self.now.shares
        order = np.argsort(-before, kind="stable").tolist()
        return {
            "ndcg": self.ndcg,
            "ndcg_limit": NDCG_LIMIT,
            "moved": self.moved,
            "moved_limit": MOVED_LIMIT,
            "noise": self.noise,
            "p_value": self.chance,
            "drifted": self.drifted,
            "rows": self.now.rows,
            "features": [
                {"name": self.names[place], "before": float(before[place]), "after": float(after[place])}
                for place in order
            ],
        }


def compare_attributions(
    names: Sequence[str], now: Attributed, then: Attributed, *, each: float
) -> AttributionDrift:
    """Compare attributions; fewer than `FEWEST` rows show nothing.

    Parameters
    ----------
    each
        Largest chance that a finding may have.
    """
    moved, score = _moved(now.shares, then.shares), ndcg(now.means, then.means)
    chance, noise = 1.0, 1.0
    if now.spread is not None and now.rows >= FEWEST:
        chance, noise = _chance(moved, _by_chance(now, then, now.spread), each)
    return AttributionDrift(
        names=tuple(names),
        now=now,
        then=then,
        ndcg=score,
        moved=moved,
        noise=noise,
        chance=chance,
        drifted=chance <= each and (moved > MOVED_LIMIT or score < NDCG_LIMIT),
    )


def _chance(moved: float, drawn: Floats, each: float) -> tuple[float, float]:
    """Return how likely so much moves by chance, and how much does with a chance of `each`.

    The tail is a gamma law's of the same mean and variance: longer than that of what is drawn, a norm of normal
    numbers, and known where no draw comes.
    """
    from scipy.special import gammaincc, gammainccinv  # XGBoost has loaded it where it scored

    shape, scale = _gamma(drawn)
    chance = float(gammaincc(shape, moved / scale)) if scale else float(moved <= 0)
    return chance, float(gammainccinv(shape, each)) * scale


def _moved(now: Floats, then: Floats) -> float:
    return float(np.abs(now - then).sum() / 2)


def _by_chance(now: Attributed, then: Attributed, spread: Floats) -> Floats:
    """Return how much moves between two samples of one population, drawn `DRAWS` times.

    A parametric bootstrap: means of so many rows are drawn from the normal law that they nearly follow, about the
    mean of both samples and with the covariance of the batch. Its root is the symmetric one, the only one that hardly
    changes where the covariance does: what instances have found together differs from one's in the last digits.
    """
    rng = np.random.default_rng(0)
    middle = (now.rows * now.means + then.rows * then.means) / (now.rows + then.rows)
    variances, directions = np.linalg.eigh(spread)
    root = directions * np.sqrt(np.maximum(variances, 0)) @ directions.T
    sides = [
        shares(np.maximum(middle + rng.standard_normal((DRAWS, len(middle))) @ root / rows**0.5, 0))
        for rows in (now.rows, then.rows)
    ]
    found: Floats = np.abs(sides[0] - sides[1]).sum(axis=1) / 2
    return found


def _gamma(drawn: Floats) -> tuple[float, float]:
    """Return shape and scale of the gamma law with the mean and variance of what was drawn; scale 0 for all zeros."""
    mean, variance = float(drawn.mean()), float(drawn.var())
    return (mean**2 / variance, variance / mean) if variance else (1.0, mean)
