"""What the steps know about a model: its columns, its hold-out, its hyperparameters; read from model.json."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from .program import UsageError

ColumnType = Literal["integer", "number", "string"]
Value = float | str

WHOLE_IN_A_DOUBLE = 2**53


def value_text(value: Value | None) -> str:
    """Return the one way in which a value is written: `4.0` as ``4``, a missing value as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if float(value).is_integer() and abs(value) <= WHOLE_IN_A_DOUBLE:
        return str(int(value))
    return repr(float(value))


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the data.

    Attributes
    ----------
    name
        Name in headers and reports.
    type
        ``integer``, ``number`` or ``string``; a string column is scored by its value's place in `values`.
    minimum, maximum
        Range of what is legal, both ends included. Default: any.
    values
        All that is legal. Default: anything in the range.
    repairs
        Pairs of a typing error and what it stands for; the error counts as legal.
    required
        Whether a missing value is an error. Default: missing values are fine.
    """

    name: str
    type: ColumnType
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[Value, ...] = ()
    repairs: tuple[tuple[Value, Value], ...] = ()
    required: bool = False

    def parse(self, text: str) -> Value:
        """Return the value of a cell that isn't missing.

        Raises
        ------
        ValueError
            The cell isn't of the column's type; the message says what it should be.
        """
        if self.type == "string":
            return text
        kind = "an integer" if self.type == "integer" else "a number"
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"is not {kind}") from None
        # float() also knows 1_000, nan, infinity and the digits of all scripts; data files know none of them
        if not math.isfinite(number) or "_" in text or not text.isascii():
            raise ValueError(f"is not {kind}")
        if self.type == "integer" and not number.is_integer():
            raise ValueError("is not an integer")
        return number

    def fault(self, value: Value) -> str | None:
        """Return why a raw value isn't legal, or nothing where it is."""
        if any(value == wrong for wrong, _ in self.repairs):
            return None
        if self.values and value not in self.values:
            return f"is not one of {', '.join(value_text(legal) for legal in self.values)}"
        if isinstance(value, str):
            return None
        if self.minimum is not None and value < self.minimum:
            return f"is below {value_text(self.minimum)}"
        if self.maximum is not None and value > self.maximum:
            return f"is above {value_text(self.maximum)}"
        return None

    def repair(self, value: Value | None) -> Value | None:
        """Return what a value stands for: typing errors corrected, all else unchanged."""
        for wrong, right in self.repairs:
            if value == wrong:
                return right
        return value

    def encode(self, value: Value | None) -> float | None:
        """Return the number that the model sees; nothing for a text that isn't legal."""
        if isinstance(value, str):
            return float(self.values.index(value)) if value in self.values else None
        return value

    @classmethod
    def from_json(cls, described: dict[str, Any]) -> Column:
        """Return the column that `described` gives, as in model.json."""
        return cls(
            **{
                **described,
                "values": tuple(described.get("values", ())),
                "repairs": tuple((wrong, right) for wrong, right in described.get("repairs", ())),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """Which rows the model never trains on.

    Attributes
    ----------
    salt
        Changing it deals the rows anew: a champion's training rows would then be among the hold-out.
    fraction
        Share of the distinct rows, above 0 and at most 0.5.
    """

    salt: str
    fraction: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How the cross-validation is done.

    Attributes
    ----------
    folds, repeats
        Fits are `folds` x `repeats`.
    seed
        Of the dealing into folds.
    """

    folds: int = 5
    repeats: int = 5
    seed: int = 200


@dataclass(frozen=True, kw_only=True)
class RetrainAfter:
    """How many of the last batches must have drifted before a drift retrains; 1 of 1 is every drift."""

    drifted: int = 1
    of: int = 1


@dataclass(frozen=True, kw_only=True)
class ModelQuality:
    """When ground truth that came later shows that a version has lost.

    Attributes
    ----------
    auc_margin
        A drop of AUC, of all rows or in a segment, counts beyond it only.
    calibration_margin
        So does a change of the share of positives less the mean score.
    confidence
        How sure to be, over all that is compared, that a loss is no chance.
    """

    auc_margin: float = 0.05
    calibration_margin: float = 0.1
    confidence: float = 0.99


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """How a batch is compared with the baseline; names as in Model Monitor's constraints.json.

    Attributes
    ----------
    comparison_method
        ``Robust`` (the distance beyond the noise of the two sample sizes) or ``Simple`` (the distance).
    comparison_threshold, categorical_comparison_threshold
        A feature has drifted where its distance is above. With ``Robust`` 0 is sensible: 0 is the noise.
    categorical_drift_method
        For texts: ``LInfinity`` (the largest difference of a value's share) or ``ChiSquared``, where the threshold
        is the p-value below which a feature has drifted: its share of false alarms.
    datatype_check_threshold
        Smallest share of a column's cells that must be of its type.
    domain_content_threshold
        Smallest share of a column's cells that must hold legal values.
    completeness_confidence
        How sure the check must be, over all columns together, that more is missing than in the baseline.
    drift_confidence
        How sure it must be, over all features together, that a ``Robust`` distance isn't chance.
    retrain_after
        How often a batch must have drifted before the model is retrained; no step needs it.
    model_quality
        How predictions are compared with ground truth.
    instances
        How many instances share the check of a batch; no step needs it.
    """

    comparison_method: Literal["Robust", "Simple"] = "Robust"
    comparison_threshold: float = 0.0
    categorical_comparison_threshold: float = 0.0
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity"
    datatype_check_threshold: float = 1.0
    domain_content_threshold: float = 1.0
    completeness_confidence: float = 0.999
    drift_confidence: float = 0.99
    retrain_after: RetrainAfter = RetrainAfter()
    model_quality: ModelQuality = ModelQuality()
    instances: int = 1


@dataclass(frozen=True, kw_only=True)
class Model:
    """All that the steps know about a model.

    Attributes
    ----------
    columns
        The features, in the order of the files.
    target
        The label, last in training files; its second value is the positive class.
    id_column
        Name of the column that identifies a row, first in every file. Default: none, rows count from 1.
    missing
        Cells that stand for a missing value.
    batch_header
        Whether batches carry a header row.
    hyperparameters
        As the training container takes them: strings.
    model_name
        Heads the report of a check.
    """

    columns: tuple[Column, ...]
    target: Column
    id_column: str | None = None
    missing: tuple[str, ...] = ("", "?")
    batch_header: bool = False
    holdout: Holdout
    evaluation: Evaluation = Evaluation()
    hyperparameters: dict[str, str]
    monitor: Monitor = Monitor()
    model_name: str = ""

    @property
    def features(self) -> list[str]:
        """Names of the features."""
        return [column.name for column in self.columns]

    @classmethod
    def from_json(cls, described: dict[str, Any]) -> Model:
        """Return the model that `described` gives; what the steps don't need is left alone."""
        known = {field.name for field in fields(Model)}
        taken = {name: value for name, value in described.items() if name in known}
        return cls(
            **{
                **taken,
                "columns": tuple(Column.from_json(column) for column in described["columns"]),
                "target": Column.from_json(described["target"]),
                "missing": tuple(described["missing"]),
                "holdout": Holdout(**described["holdout"]),
                "evaluation": Evaluation(**described["evaluation"]),
                "monitor": _monitor(described["monitor"]),
            }
        )


def _monitor(described: dict[str, Any]) -> Monitor:
    given = dict(described)
    given["retrain_after"] = RetrainAfter(**given.get("retrain_after", {}))
    given["model_quality"] = ModelQuality(**given.get("model_quality", {}))
    return Monitor(**given)


def read_model(path: Path) -> Model:
    """Return the model that a compiled model.json describes.

    Raises
    ------
    UsageError
        The file isn't there, can't be read, or isn't one that `make definitions` wrote.
    """
    try:
        return Model.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(f"no {path.name} beside the steps; name it with --model") from None
    except OSError as error:
        raise UsageError(f"'{path}' can't be read: {error.strerror}; name model.json with --model") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path.name} is not a compiled model description ({error}); run `make definitions`"
        ) from None
