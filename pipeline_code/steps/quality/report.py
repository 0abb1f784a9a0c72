"""What a check leaves behind: the verdict, Model Monitor's three files, metrics and the exit message."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from .baseline import CONSTRAINTS, STATISTICS, write_json
from .checks import DRIFT, Findings, Violation
from .constraints import FeatureConstraint
from .drift import Comparison
from .predictions import PREDICTION
from .profile import Profile
from .statistics import describe

Action = Literal["deliver", "announce_and_deliver", "withhold_drift", "withhold_violation"]

MESSAGE_LENGTH = 900  # a Lambda output of a pipeline holds 1,024 characters
MOST_MEASURED = 50  # of the features; docs/decisions/0014


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be done with a batch, and why."""

    verdict: Literal["ok", "drift", "violation"]
    action: Action
    message: str
    rows: int
    comparisons: tuple[Comparison, ...]
    violations: tuple[Violation, ...]
    not_compared: tuple[str, ...] = ()
    attributions: dict[str, Any] | None = None

    @property
    def delivers(self) -> bool:
        """Whether the batch is scored."""
        return self.action in ("deliver", "announce_and_deliver")

    def as_json(self) -> dict[str, Any]:
        """Return verdict.json."""
        return {
            "verdict": self.verdict,
            "action": self.action,
            "message": self.message,
            "rows": self.rows,
            "features": [
                {
                    "name": found.name,
                    "distance": found.distance,
                    "threshold": found.threshold,
                    "drifted": found.drifted,
                    "simple": found.simple,
                    "p_value": found.p_value,
                    "method": found.method,
                    "before": found.before,
                    "after": found.after,
                }
                for found in self.comparisons
            ],
            "low_power": [found.name for found in self.comparisons if found.low_power],
            "not_compared": list(self.not_compared),
            "violations": [asdict(violation) for violation in self.violations],
            **({"attributions": self.attributions} if self.attributions is not None else {}),
        }


def judge(rows: int, findings: Findings, *, deliver_on_drift: bool) -> Verdict:
    """Return the verdict: a violation outranks a drift, because a broken batch says nothing about the world.

    Parameters
    ----------
    rows
        Of the batch.
    findings
        Of the checks.
    deliver_on_drift
        Whether a batch that has drifted is scored all the same.
    """
    broken = tuple(v for v in findings.violations if v.constraint_check_type != DRIFT)
    drifted = [found for found in findings.comparisons if found.drifted]
    shared: dict[str, Any] = {"rows": rows, "comparisons": findings.comparisons, "violations": broken}
    shared["not_compared"] = findings.not_compared
    if broken:
        return Verdict(
            verdict="violation", action="withhold_violation", message=told_as_broken(rows, broken), **shared
        )
    if drifted:
        head = f"{rows} rows differ from the baseline in {_counted(len(drifted), 'feature')}: "
        return Verdict(
            verdict="drift",
            action="announce_and_deliver" if deliver_on_drift else "withhold_drift",
            message=_shortened(head, [_told(found) for found in drifted]),
            **shared,
        )
    return Verdict(verdict="ok", action="deliver", message=_fits(rows, findings), **shared)


def told_as_broken(rows: int, violations: Sequence[Violation]) -> str:
    """Return the message about a batch with violations."""
    named = [f"{v.constraint_check_type} {v.feature_name}: {v.description}" for v in violations]
    return _shortened(f"{rows} rows with {_counted(len(violations), 'violation')}: ", named)


def _fits(rows: int, findings: Findings) -> str:
    """Return what is said of a batch without a finding, and of what it couldn't have shown."""
    weak = sorted(found.name for found in findings.comparisons if found.low_power)
    head = f"{rows} rows fit the baseline"
    if weak:
        head += ", but are too few to show a shift by half a standard deviation or 20 points of share in "
        head = _shortened(head, weak, ", ")
    if findings.not_compared:
        head = _shortened(
            head + "; the baseline holds no distribution of ", list(findings.not_compared), ", "
        )
    return head + "."


def _told(found: Comparison) -> str:
    moved = ""
    if found.before is not None and found.after is not None:
        moved = f", mean {_shown(found.before)} before and {_shown(found.after)} now"
    if found.method == "ChiSquared":
        return f"{found.name} (p-value {found.p_value:.2g} of ChiSquared below {found.threshold:g})"
    return f"{found.name} (distance {found.distance:.3f} above {found.threshold:g}{moved})"


def _shown(mean: float) -> str:
    return f"{mean:.2f}" if abs(mean) < 1e9 else f"{mean:.4g}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _shortened(head: str, items: list[str], between: str = "; ") -> str:
    """Return the items that fit into a message, and how many don't."""
    told = [items[0][: MESSAGE_LENGTH // 2]]
    for item in items[1:]:
        if len(head) + sum(map(len, told)) + len(item) + 2 * len(told) > MESSAGE_LENGTH - 30:
            break
        told.append(item)
    rest = f"{between}and {len(items) - len(told)} more" if len(told) < len(items) else ""
    return head + between.join(told) + rest


def write_report(
    folder: Path, verdict: Verdict, findings: Findings, profile: Profile, constraints: dict[str, Any]
) -> None:
    """Write verdict.json, statistics.json, constraints.json and constraint_violations.json.

    Parameters
    ----------
    constraints
        Suggested from the batch, as Model Monitor does; not those it was checked against.
    """
    write_json(folder / "verdict.json", verdict.as_json())
    write_json(folder / STATISTICS, describe(profile))
    write_json(folder / CONSTRAINTS, constraints)
    write_json(
        folder / "constraint_violations.json", {"violations": [asdict(v) for v in findings.violations]}
    )


def exit_message(findings: Findings) -> str:
    """Return the job's exit message in Model Monitor's words."""
    if not findings.violations:
        return "Completed: Job completed successfully with no violations."
    count = len(findings.violations)
    return f"CompletedWithViolations: Job completed successfully with {_counted(count, 'violation')}."


def metrics_of(
    profile: Profile,
    findings: Findings,
    constraints: Mapping[str, FeatureConstraint],
    *,
    now: datetime | None = None,
) -> list[list[dict[str, Any]]]:
    """Return the metrics of each feature that emits some, as CloudWatch takes them and Model Monitor names them.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-cloudwatch.html
    """
    drift = {found.name: found.distance for found in findings.comparisons}
    return feature_metrics(profile, drift, constraints, now=now)


def feature_metrics(
    profile: Profile,
    drift: Mapping[str, float],
    constraints: Mapping[str, FeatureConstraint],
    *,
    now: datetime | None = None,
) -> list[list[dict[str, Any]]]:
    """Return the metrics of a profile's features.

    Parameters
    ----------
    profile
        Of the batch.
    drift
        Feature name to distance, of those whose distance is known.
    constraints
        Feature name to what it must satisfy; those that are not to emit metrics don't.
    now
        Default: the present.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    features = []
    # what the model makes of the batch comes first: it must not be what is left out where there are many features
    for column in sorted(profile.columns, key=lambda column: column.name != PREDICTION):
        constraint = constraints.get(column.name)
        if constraint is not None and not constraint.config.emit_metrics:
            continue
        lines = []
        head: dict[str, Any] = {"Timestamp": stamp, "Dimensions": []}
        if column.points is not None and column.points.total:
            statistics = {
                "SampleCount": column.points.total,
                "Sum": column.total,
                "Minimum": column.minimum,
                "Maximum": column.maximum,
            }
            name = f"feature_data_{column.name}"
            lines.append({"MetricName": name, **head, "StatisticValues": statistics})
        lines.append({"MetricName": f"feature_non_null_{column.name}", **head, "Value": column.completeness})
        if column.name in drift:
            name = f"feature_baseline_drift_{column.name}"
            lines.append({"MetricName": name, **head, "Value": drift[column.name]})
        features.append(lines)
    return features


def write_metrics(report: Path, features: Sequence[list[dict[str, Any]]], *, container: Path | None) -> None:
    """Write the metrics: those of the first features beside the verdict, all of them where Model Monitor reads them.

    Parameters
    ----------
    report
        Gets metrics.json, which the run's function puts to CloudWatch. CloudWatch bills each metric, so it holds
        those of the first `MOST_MEASURED` features in the order of the columns: the same ones in every batch.
    container
        Folder for JSON lines. SageMaker reads it for Model Monitor's own jobs only. Default: not written.
    """
    first = [line for lines in features[:MOST_MEASURED] for line in lines]
    write_json(report / "metrics.json", {"metrics": first})
    if container is not None:
        container.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for lines in features for line in lines)
        (container / "data_quality.jsonl").write_text(text, encoding="utf-8")
