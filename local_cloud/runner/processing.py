"""A processing job: inputs in, the container's program, outputs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cloud.runner import quality_check
from local_cloud.runner.jobs import Job, JobError, JobResult
from local_cloud.runner.transfer import download, upload_folder


def run(job: Job) -> JobResult:
    """Run a processing job."""
    request = job.request.request
    for item in request.get("ProcessingInputs") or []:
        _fetch(job, item)
    outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    for item in outputs:
        _folder_of(job, item["S3Output"], item["OutputName"]).mkdir(parents=True, exist_ok=True)
    specification = request["AppSpecification"]
    entrypoint = specification.get("ContainerEntrypoint")
    environment = {
        "PROCESSING_JOB_NAME": job.request.name,
        "PROCESSING_JOB_ARN": job.request.arn,
        **(request.get("Environment") or {}),
    }
    if not entrypoint:
        entrypoint = quality_check.analyzer(specification["ImageUri"])
    command = job.sandbox.command(entrypoint, specification.get("ContainerArguments") or [])
    code = job.run_container(command, environment)
    message = job.sandbox.exit_message()
    if code != 0:
        reason = job.sandbox.failure_reason(code)
        return JobResult("Failed", reason, message)
    kms_key = (request.get("ProcessingOutputConfig") or {}).get("KmsKeyId")
    s3 = job.clients.client("s3")
    for item in outputs:
        target = item["S3Output"]
        upload_folder(s3, _folder_of(job, target, item["OutputName"]), target["S3Uri"], kms_key)
    return JobResult("Completed", exit_message=message)


def _fetch(job: Job, item: Mapping[str, Any]) -> None:
    source = item.get("S3Input")
    if not source:
        raise JobError(
            f"ClientError: input {item.get('InputName')!r} isn't an S3Input: only these are emulated"
        )
    kind = source.get("S3DataType", "S3Prefix")
    if kind != "S3Prefix" or source.get("S3InputMode", "File") != "File":
        raise JobError(
            f"ClientError: input {item.get('InputName')!r} has S3DataType {kind} and S3InputMode "
            f"{source.get('S3InputMode')}: only S3Prefix and File are emulated"
        )
    folder = _folder_of(job, source, str(item.get("InputName")))
    folder.mkdir(parents=True, exist_ok=True)
    download(job.clients.client("s3"), source["S3Uri"], folder, job.request.role_arn)


def _folder_of(job: Job, where: Mapping[str, Any], name: str) -> Any:
    try:
        return job.sandbox.path(where.get("LocalPath") or f"/opt/ml/processing/{name}")
    except ValueError as error:
        raise JobError(f"ClientError: {name}: {error}") from error
