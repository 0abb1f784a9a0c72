"""The hyperparameters of the built-in XGBoost algorithm, checked as the container checks them.

See https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class HyperparameterError(ValueError):
    """A hyperparameter is unknown, missing or out of its range."""


@dataclass(frozen=True)
class Hyperparameters:
    """Checked hyperparameters.

    Attributes
    ----------
    num_round
        Boosting rounds.
    early_stopping_rounds
        Rounds without a better last metric of the last channel before training ends, or None.
    csv_weights
        Whether the second column of the training data holds weights.
    booster
        All that goes to XGBoost's booster.
    """

    num_round: int
    early_stopping_rounds: int | None = None
    csv_weights: bool = False
    booster: dict[str, Any] = field(default_factory=dict)


def _number(
    kind: type[int] | type[float], low: float = -math.inf, high: float = math.inf, *, open_low: bool = False
) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = kind(text)
        if not math.isfinite(value) or value < low or value > high or (open_low and value == low):
            raise ValueError(f"must lie in {'(' if open_low else '['}{low:g}, {high:g}]")
        return value

    return read


def _choice(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    return read


def _tuple_of_signs(text: str) -> str:
    signs = ast.literal_eval(text)
    if not isinstance(signs, tuple | list) or any(sign not in (-1, 0, 1) for sign in signs):
        raise ValueError("must be a tuple of -1, 0 and 1")
    return "(" + ",".join(str(sign) for sign in signs) + ")"


def _nested_lists(text: str) -> str:
    groups = ast.literal_eval(text)
    if not isinstance(groups, tuple | list) or any(not isinstance(group, tuple | list) for group in groups):
        raise ValueError("must be a list of lists")
    return str([list(group) for group in groups])


_OBJECTIVES = (
    "binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson", "multi:softmax", "multi:softprob",
    "rank:pairwise", "rank:ndcg", "rank:map", "reg:linear", "reg:squarederror", "reg:squaredlogerror",
    "reg:logistic", "reg:gamma", "reg:pseudohubererror", "reg:absoluteerror", "reg:tweedie", "survival:aft",
    "survival:cox",
)  # fmt: skip
_METRICS = (
    "rmse", "rmsle", "mae", "mape", "mphe", "logloss", "error", "merror", "mlogloss", "auc", "aucpr", "ndcg", "map",
    "poisson-nloglik", "gamma-nloglik", "gamma-deviance", "tweedie-nloglik", "aft-nloglik", "cox-nloglik",
    "interval-regression-accuracy",
)  # fmt: skip


def _metrics(text: str) -> list[str]:
    names = [name.strip() for name in text.strip("[]").replace("'", "").replace('"', "").split(",")]
    for name in names:
        if name.split("@")[0] not in _METRICS:
            raise ValueError(f"{name!r} isn't a metric that the container knows")
    return names


_not_negative = _number(float, 0)
_share = _number(float, 0, 1)
_positive_share = _number(float, 0, 1, open_low=True)
_flag = _choice("0", "1")
_whole = _number(int, 0)

_BOOSTER: dict[str, Callable[[str], Any]] = {
    "booster": _choice("gbtree", "gblinear", "dart"),
    "verbosity": _number(int, 0, 3),
    "nthread": _number(int, 1),
    "eta": _share,
    "gamma": _not_negative,
    "max_depth": _whole,
    "min_child_weight": _not_negative,
    "max_delta_step": _not_negative,
    "subsample": _positive_share,
    "colsample_bytree": _positive_share,
    "colsample_bylevel": _positive_share,
    "colsample_bynode": _positive_share,
    "lambda": _not_negative,
    "alpha": _not_negative,
    "tree_method": _choice("auto", "exact", "approx", "hist"),
    "sketch_eps": _positive_share,
    "scale_pos_weight": _number(float),
    "updater": str,
    "dsplit": _choice("row", "col"),
    "refresh_leaf": _flag,
    "process_type": _choice("default", "update"),
    "grow_policy": _choice("depthwise", "lossguide"),
    "max_leaves": _whole,
    "max_bin": _number(int, 2),
    "sampling_method": _choice("uniform", "gradient_based"),
    "monotone_constraints": _tuple_of_signs,
    "interaction_constraints": _nested_lists,
    "sample_type": _choice("uniform", "weighted"),
    "normalize_type": _choice("tree", "forest"),
    "rate_drop": _share,
    "one_drop": _flag,
    "skip_drop": _share,
    "lambda_bias": _share,
    "tweedie_variance_power": _number(float, 1, 2, open_low=True),
    "huber_slope": _not_negative,
    "objective": _choice(*_OBJECTIVES),
    "num_class": _number(int, 2),
    "base_score": _number(float),
    "eval_metric": _metrics,
    "seed": _number(int),
    "num_parallel_tree": _number(int, 1),
    "max_cat_to_onehot": _number(int, 1),
}
_OWN: dict[str, Callable[[str], Any]] = {
    "num_round": _number(int, 1),
    "early_stopping_rounds": _number(int, 1),
    "csv_weights": _flag,
}


def read_hyperparameters(given: Mapping[str, str]) -> Hyperparameters:
    """Check the hyperparameters of a training job.

    Parameters
    ----------
    given
        As in ``hyperparameters.json``: all values are strings.

    Raises
    ------
    HyperparameterError
        Names the hyperparameter, its value and the rule.
    """
    values: dict[str, Any] = {}
    for name, text in given.items():
        read = _BOOSTER.get(name) or _OWN.get(name)
        if read is None:
            raise HyperparameterError(f"Extraneous hyperparameter found: {name}")
        try:
            values[name] = read(text.strip())
        except (ValueError, SyntaxError) as error:
            raise HyperparameterError(
                f"Hyperparameter {name}: value {text!r} isn't valid: {error}"
            ) from error
    if "num_round" not in values:
        raise HyperparameterError("Missing required hyperparameter: num_round")
    if str(values.get("objective", "")).startswith("multi:") and "num_class" not in values:
        raise HyperparameterError(
            "Missing required hyperparameter: num_class (the objective has several classes)"
        )
    return Hyperparameters(
        values["num_round"],
        values.get("early_stopping_rounds"),
        values.get("csv_weights") == "1",
        {name: value for name, value in values.items() if name in _BOOSTER},
    )
