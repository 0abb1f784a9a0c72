"""Judge a trained model: cross-validated AUC, and champion and challenger on the same hold-out.

Inputs: ``model`` and ``champion`` (a model.tar.gz each; a champion folder with NO_CHAMPION says there is none),
``train``, ``holdout``, ``summary``, and ``baseline`` where this run wrote one. Outputs:
``evaluation/evaluation.json``, beside it a batch with the model's scores (see `sampled_batch`), and the
baseline with the distribution of the scores on the hold-out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .model import Model, read_model
from .program import DataError, UsageError, folder_of, main_exit, parser, read_json, run, sole_file

ARCHIVE, NO_CHAMPION = "model.tar.gz", "NO_CHAMPION"
GAIN_WITHOUT_CHAMPION = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    options = parser("evaluate", "Judge a trained model.")
    options.add_argument(
        "--champion-version", default="none", help="version of the champion (default: %(default)s)"
    )
    given = options.parse_args(arguments)
    return run(lambda: evaluate(read_model(given.model), given.input, given.output, given.champion_version))


def evaluate(model: Model, inputs: Path, output: Path, champion_version: str = "none") -> str:
    """Do the step's work.

    Returns
    -------
    str
        The numbers of the gate, in words.

    Raises
    ------
    DataError
        The rows can't be judged on.
    UsageError
        An archive or an input is missing or refused.
    """
    # imported late: arguments and --help cost nothing
    import numpy as np

    from .archive import load_boosters
    from .cross_validation import cross_validated_auc
    from .quality.model_quality import describe
    from .quality.predictions import contributions, describe_predictions, score_rows
    from .sampled_batch import write_check_files
    from .scoring import auc_with_error, classification_metrics

    archives = [sole_file(inputs / "model", ARCHIVE), *_champion(inputs / "champion")]
    challenger, champion = (*load_boosters(archives), None)[:2]
    counted = _counted(sole_file(inputs / "summary", "summary.json"))
    train_labels, train = _read(inputs / "train", model)
    labels, holdout = _read(inputs / "holdout", model)

    width = challenger.num_features()
    if width != len(model.columns):
        raise UsageError(f"the trained model expects {width} features, model.json has {len(model.columns)}")
    scores = score_rows(challenger, holdout)
    repeats = cross_validated_auc(
        np.concatenate([train, holdout]),
        np.concatenate([train_labels, labels]),
        model.hyperparameters,
        model.evaluation,
    )
    holdout_auc = auc_with_error(labels, scores)[0]
    gate: dict[str, Any] = {
        "cv_auc": round(float(np.mean(repeats)), 6),
        "cv_auc_sd": round(float(np.std(repeats, ddof=1)) if len(repeats) > 1 else 0.0, 6),
        "holdout_auc": round(holdout_auc, 6),
        "champion_version": champion_version if champion is not None else "none",
        "champion_auc": None,
        "gain_over_champion": GAIN_WITHOUT_CHAMPION,
        "note": "",
    }
    if champion is not None and champion.num_features() != len(model.columns):
        gate["note"] = (
            f"not compared: the champion expects {champion.num_features()} features,"
            f" this model has {len(model.columns)}"
        )
    elif champion is not None:
        champion_auc = auc_with_error(labels, score_rows(champion, holdout))[0]
        gate["champion_auc"] = round(champion_auc, 6)
        gate["gain_over_champion"] = round(holdout_auc - champion_auc, 6)
    shares = contributions(challenger, holdout)
    report = {
        "binary_classification_metrics": classification_metrics(labels, scores),
        "gate": gate,
        "data": counted,
        "attributions": _attributions(shares, model.features),
        **describe(model.columns, holdout, labels, scores),
    }
    evaluation = folder_of(output, "evaluation")
    (evaluation / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    write_check_files(model, train, lambda rows: score_rows(challenger, rows), evaluation)
    _copy_baseline(inputs / "baseline", output, describe_predictions(scores, shares, model.features))
    return _told(gate)


def _told(gate: dict[str, Any]) -> str:
    against = "no champion"
    if gate["champion_auc"] is not None:
        against = f"champion {gate['champion_version']} has {gate['champion_auc']:.4f} there"
    return (
        f"Completed: cross-validated AUC {gate['cv_auc']:.4f} (sd {gate['cv_auc_sd']:.4f}),"
        f" hold-out AUC {gate['holdout_auc']:.4f}, {gate['note'] or against}."
    )


def _champion(folder: Path) -> list[Path]:
    """Return the champion's archive, or nothing where the folder says there is none."""
    return [] if any(folder.rglob(NO_CHAMPION)) else [sole_file(folder, ARCHIVE)]


def _counted(summary: Path) -> dict[str, Any]:
    """Return what preprocess counted, as far as evaluation.json repeats it."""
    try:
        counted = read_json(summary)
        return {name: counted[name] for name in ("rows", "train_rows", "holdout_rows", "sha256")}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{summary.name} is not what preprocess writes: {error!r}") from None


def _read(folder: Path, model: Model) -> tuple[Any, Any]:
    """Return labels and features of prepared rows."""
    import numpy as np
    import pyarrow
    from pyarrow import csv

    path = sole_file(folder, f"{folder.name}.csv")
    names = ["label", *model.features]
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.float64()), null_values=[""]
            ),
        )
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path.name} is not what preprocess writes: {error}") from None
    rows = np.column_stack([column.to_numpy() for column in table.columns])
    labels = rows[:, 0]
    if len(np.unique(labels)) < 2:
        raise DataError(f"{path.name} holds one class only: AUC needs rows of both")
    return labels, rows[:, 1:]


def _attributions(shares: Any, names: list[str]) -> dict[str, float]:
    """Return each feature's mean absolute SHAP contribution to the log odds, the largest first."""
    import numpy as np

    means = np.abs(shares).mean(axis=0)
    ranked = sorted(zip(names, means, strict=True), key=lambda item: -item[1])
    return {name: round(float(mean), 6) for name, mean in ranked}


def _copy_baseline(source: Path, output: Path, predicted: dict[str, Any]) -> None:
    """Copy the baseline, with the distribution of the model's scores as one more feature of its statistics.

    The constraints stay as they are: a batch holds no predictions.
    """
    if not source.is_dir():
        return  # SageMaker's QualityCheck step wrote it, straight to where it belongs
    from .quality.baseline import CONSTRAINTS, STATISTICS, write_json

    folder = folder_of(output, "baseline")
    shutil.copyfile(sole_file(source, CONSTRAINTS), folder / CONSTRAINTS)
    statistics = sole_file(source, STATISTICS)
    try:
        described = read_json(statistics)
        described["features"].append(predicted)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{STATISTICS} is not what preprocess writes: {error!r}") from None
    write_json(folder / STATISTICS, described)


if __name__ == "__main__":
    main_exit(main)
