"""QualityCheck steps: the analyzer as a processing job, its baselines before and its violations after."""

from __future__ import annotations

import json
from typing import Any

from local_cloud.runner.execution import Attempt, StepFailed
from local_cloud.runner.resolve import StepOutcome
from local_cloud.runner.steps import StepHandlers, call, without_nulls
from local_cloud.runner.transfer import TransferError, read_object

_BASELINES = {"Statistics": "baseline_statistics", "Constraints": "baseline_constraints"}


def run_quality_check(handlers: StepHandlers, attempt: Attempt) -> StepOutcome:
    """Run a QualityCheck step.

    Without ``SkipCheck`` the data are compared with the supplied baseline, or with that of the newest approved version
    of the package group. Violations fail the step where ``FailOnViolation`` says so.
    """
    arguments = handlers.arguments(attempt)
    body = without_nulls(attempt.resolve({k: v for k, v in attempt.step.body.items() if k != "Arguments"}))
    output = arguments["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"].rstrip("/")
    skip, register = bool(body.get("SkipCheck")), bool(body.get("RegisterNewBaseline"))
    previous = {} if skip else _previous_baselines(handlers, body)
    for kind, uri in previous.items():
        _add_baseline(arguments, kind, uri)
    calculated = {kind: f"{output}/{kind.lower()}.json" for kind in _BASELINES}
    used = calculated if register or not previous else {**calculated, **previous}
    properties: dict[str, Any] = {
        **{f"CalculatedBaseline{kind}": uri for kind, uri in calculated.items()},
        **{f"BaselineUsedForDriftCheck{kind}": uri for kind, uri in used.items()},
    }
    metadata = {
        **properties,
        "CheckType": body.get("CheckType", "DATA_QUALITY"),
        "SkipCheck": skip,
        "RegisterNewBaseline": register,
        **(
            {"ModelPackageGroupName": body["ModelPackageGroupName"]}
            if "ModelPackageGroupName" in body
            else {}
        ),
    }
    if not skip:
        metadata["ViolationReport"] = f"{output}/constraint_violations.json"
    handlers.run_job(
        attempt, "Processing", arguments, lambda arn: {"QualityCheck": {**metadata, "CheckJobArn": arn}}
    )
    if not skip and body.get("FailOnViolation", True):
        _fail_on_violations(handlers, f"{output}/constraint_violations.json")
    return StepOutcome(properties)


def _previous_baselines(handlers: StepHandlers, body: dict[str, Any]) -> dict[str, str]:
    supplied = {
        kind: body[f"SuppliedBaseline{kind}"] for kind in _BASELINES if body.get(f"SuppliedBaseline{kind}")
    }
    group = body.get("ModelPackageGroupName")
    if supplied or not group:
        return supplied
    client = handlers.clients.client("sagemaker")
    newest = call(
        client, "sagemaker", "ListModelPackages",
        {"ModelPackageGroupName": group, "ModelApprovalStatus": "Approved", "SortBy": "CreationTime",
         "SortOrder": "Descending", "MaxResults": 1},
    )["ModelPackageSummaryList"]  # fmt: skip
    if not newest:
        return {}
    arn = newest[0]["ModelPackageArn"]
    package = call(client, "sagemaker", "DescribeModelPackage", {"ModelPackageName": arn})
    baselines = package.get("DriftCheckBaselines", {}).get("ModelDataQuality", {})
    return {kind: baselines[kind]["S3Uri"] for kind in _BASELINES if kind in baselines}


def _add_baseline(arguments: dict[str, Any], kind: str, uri: str) -> None:
    folder = f"/opt/ml/processing/baseline/{kind.lower()}"
    arguments["ProcessingInputs"].append(
        {
            "InputName": f"baseline_{kind.lower()}",
            "S3Input": {"S3Uri": uri, "LocalPath": folder, "S3DataType": "S3Prefix", "S3InputMode": "File"},
        }
    )
    arguments.setdefault("Environment", {})[_BASELINES[kind]] = f"{folder}/{uri.rsplit('/', 1)[-1]}"


def _fail_on_violations(handlers: StepHandlers, uri: str) -> None:
    try:
        report = json.loads(read_object(handlers.clients.client("s3"), uri))
    except (TransferError, ValueError) as error:
        raise StepFailed(f"ClientError: no violation report: {error}") from error
    if report.get("violations"):
        names = ", ".join(str(item.get("feature_name")) for item in report["violations"][:5])
        raise StepFailed(
            f"CheckFailure: {len(report['violations'])} constraint violations ({names}): see {uri}"
        )
