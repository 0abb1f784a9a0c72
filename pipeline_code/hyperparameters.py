"""Hyperparameters of SageMaker's XGBoost container: which there are, and how they are written.

See https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pipeline_code.mapping import Mapping

OBJECTIVE = "binary:logistic"

KNOWN = frozenset(
    {
        "alpha",
        "base_score",
        "booster",
        "colsample_bylevel",
        "colsample_bynode",
        "colsample_bytree",
        "deterministic_histogram",
        "eta",
        "eval_metric",
        "gamma",
        "grow_policy",
        "interaction_constraints",
        "lambda",
        "lambda_bias",
        "max_bin",
        "max_delta_step",
        "max_depth",
        "max_leaves",
        "min_child_weight",
        "monotone_constraints",
        "normalize_type",
        "nthread",
        "num_round",
        "objective",
        "one_drop",
        "process_type",
        "rate_drop",
        "refresh_leaf",
        "sample_type",
        "scale_pos_weight",
        "seed",
        "single_precision_histogram",
        "sketch_eps",
        "skip_drop",
        "subsample",
        "tree_method",
        "updater",
        "verbosity",
    }
)
# The gate cross-validates with the shipped hyperparameters, on the train channel alone.
UNUSABLE = {
    "early_stopping_rounds": "needs a validation channel, which the pipeline doesn't have",
    "csv_weights": "needs a column of weights, which the prepared rows don't have",
    "num_class": "is for more classes than two",
}


def compiled(given: Mapping, *, features: int) -> dict[str, str]:
    """Return hyperparameters as the training job takes them: texts, in the order of their names.

    Parameters
    ----------
    given
        The mapping of model.yaml. A list of constraints becomes ``(1,0,-1)``.
    features
        How many constraints a list must hold.

    Raises
    ------
    ModelConfigError
        A name isn't known, or a value can't be used.
    """
    result = {}
    for name, value in given.items():
        if name in UNUSABLE:
            raise given.error(name, f"{UNUSABLE[name]}: remove it")
        if name not in KNOWN:
            close = get_close_matches(name, KNOWN, n=1)
            fix = f"did you mean '{close[0]}'?" if close else "see the container's documentation"
            raise given.error(name, f"is not a hyperparameter of the XGBoost container; {fix}")
        result[name] = _written(given, name, value, features)
    objective = given.choice("objective", (OBJECTIVE,), default=None)
    rounds = given.integer("num_round", low=1, high=100_000)
    return dict(sorted({**result, "objective": objective, "num_round": str(rounds)}.items()))


def _written(given: Mapping, name: str, value: Any, features: int) -> str:
    if name == "monotone_constraints":
        if (
            not isinstance(value, list)
            or len(value) != features
            or any(item not in (-1, 0, 1) for item in value)
        ):
            raise given.error(
                name, f"must be a list of {features} numbers -1, 0 or 1, one a column, got {value!r}"
            )
        return "(" + ",".join(str(int(item)) for item in value) + ")"
    if isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str | int | float):
        raise given.error(name, f"must be a number or a text, got {value!r}")
    return str(value)
