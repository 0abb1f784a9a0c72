"""Whether a version is still as good as it was at training, by ground truth that came later.

check  inputs predictions (files with a line id,score a row), ground-truth (CSV: id,label), evaluation (evaluation.json
       of the version) and, where segments are wanted, batch (the raw rows that were scored); output report

A loss is a result, not an error. Exit codes: 0 done; 1 bad data; 2 bad usage; 3 a fault of the program; with
--exit-code 4: a loss was found.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .model import Model, read_model
from .program import UsageError, add_folders, folder_of, main_exit, read_json, run, sole_file

FOUND = 4
EVALUATION, REPORT = "evaluation.json", "model-quality.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m steps.model_quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check = parser.add_subparsers(dest="mode", required=True).add_parser(
        "check", help="compare predictions with ground truth"
    )
    add_folders(check)
    check.add_argument("--exit-code", action="store_true", help=f"leave with {FOUND} where a loss is found")
    given = parser.parse_args(arguments)
    verdicts: list[str] = []

    def work() -> str:
        verdict, message = check_quality(read_model(given.model), given.input, given.output)
        verdicts.append(verdict)
        return message

    code = run(work)
    return FOUND if code == 0 and "loss" in verdicts and given.exit_code else code


def check_quality(model: Model, inputs: Path, output: Path) -> tuple[str, str]:
    """Compare predictions with ground truth and write ``report/model-quality.json``.

    Returns
    -------
    tuple
        The verdict and the exit message.

    Raises
    ------
    DataError
        Predictions, ground truth or batch can't be read, or have no id in common.
    UsageError
        The evaluation can't be read.
    """
    # imported late: arguments and --help cost nothing
    from .quality.baseline import write_json
    from .quality.ground_truth import join, read_features
    from .quality.model_quality import assess, read_evaluation
    from .quality.model_quality_report import as_json

    path = sole_file(inputs / "evaluation", EVALUATION)
    try:
        then = read_evaluation(read_json(path))
    except ValueError as error:
        raise UsageError(f"{EVALUATION} is not JSON: {error}") from None
    joined = join(model, inputs / "predictions", inputs / "ground-truth")
    features, absent = None, None
    if (inputs / "batch").is_dir():
        rows, absent = read_features(model, inputs / "batch", joined.ids)
        features = dict(zip(model.features, rows.T, strict=True))
    limits = model.monitor.model_quality
    found = assess(joined.labels, joined.scores, features, then, limits)
    report = as_json(found, then, joined, limits, absent)
    write_json(folder_of(output, "report") / REPORT, report)
    word = {"ok": "Completed", "loss": "CompletedWithLoss", "not_enough": "CompletedWithTooFewLabels"}
    return found.verdict, f"{word[found.verdict]}: {report['message']}"


if __name__ == "__main__":
    main_exit(main)
