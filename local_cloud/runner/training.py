"""A training job: channels in, the algorithm, `model.tar.gz` out."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_cloud.runner.jobs import Job, JobError, JobResult
from local_cloud.runner.transfer import download, upload

XGBOOST_IMAGE = re.compile(r"/sagemaker-xgboost:")
CODE_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the package local_cloud
_METRIC = re.compile(r"\t([\w@.-]+)-([\w@.:-]+):([-+.\deE]+|nan|inf)")


def run(job: Job) -> JobResult:
    """Run a training job."""
    request = job.request.request
    _write_configuration(job)
    for channel in request.get("InputDataConfig") or []:
        _fetch(job, channel)
    environment = {
        "TRAINING_JOB_NAME": job.request.name,
        "TRAINING_JOB_ARN": job.request.arn,
        **(request.get("Environment") or {}),
    }
    command, extra = _container(job, request["AlgorithmSpecification"])
    code = job.run_container(command, {**environment, **extra})
    if code != 0:
        reason = job.sandbox.failure_reason(code)
        # The algorithm says itself when the fault is the user's.
        return JobResult(
            "Failed", reason.removeprefix("AlgorithmError: ") if "ClientError:" in reason else reason
        )
    artifact = (
        f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.request.name}/output/model.tar.gz"
    )
    archive = job.sandbox.folder / "tmp" / "model.tar.gz"
    archive.write_bytes(archive_of(job.sandbox.root / "model"))
    upload(job.clients.client("s3"), archive, artifact, request["OutputDataConfig"].get("KmsKeyId"))
    return JobResult(
        "Completed",
        fields={
            "ModelArtifacts": {"S3ModelArtifacts": artifact},
            "FinalMetricDataList": final_metrics(job.sandbox.stdout.read_text(errors="replace")),
        },
    )


def _container(job: Job, specification: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    entrypoint = specification.get("ContainerEntrypoint")
    if entrypoint:
        return job.sandbox.command(entrypoint, specification.get("ContainerArguments") or []), {}
    image = specification.get("TrainingImage", "")
    if not XGBOOST_IMAGE.search(image):
        raise JobError(
            f"UnsupportedStep: training image {image!r} isn't the built-in XGBoost container "
            "(.../sagemaker-xgboost:...)"
        )
    return xgboost_program("train")


def xgboost_program(name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command of a program of the XGBoost container, and what its environment needs."""
    module = f"local_cloud.runner.xgboost_container.{name}"
    return [sys.executable, "-m", module, *arguments], {"PYTHONPATH": str(CODE_ROOT)}


def _fetch(job: Job, channel: Mapping[str, Any]) -> None:
    name = channel["ChannelName"]
    source = (channel.get("DataSource") or {}).get("S3DataSource")
    if (
        not source
        or source.get("S3DataType") != "S3Prefix"
        or channel.get("CompressionType", "None") != "None"
    ):
        raise JobError(
            f"ClientError: channel {name!r}: only an uncompressed S3DataSource of type S3Prefix is emulated"
        )
    content_type = channel.get("ContentType", "text/csv")
    if content_type.split(";")[0].strip() not in ("text/csv", "csv"):
        raise JobError(
            f"ClientError: channel {name!r}: content type {content_type!r} isn't emulated, use text/csv"
        )
    folder = job.sandbox.root / "input" / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    download(job.clients.client("s3"), source["S3Uri"], folder, job.request.role_arn)


def _write_configuration(job: Job) -> None:
    request = job.request.request
    channels = {
        channel["ChannelName"]: {
            "ContentType": channel.get("ContentType", ""),
            "TrainingInputMode": request["AlgorithmSpecification"].get("TrainingInputMode", "File"),
            "S3DistributionType": (channel["DataSource"].get("S3DataSource") or {}).get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        for channel in request.get("InputDataConfig") or []
    }
    files = {
        "hyperparameters.json": {k: str(v) for k, v in (request.get("HyperParameters") or {}).items()},
        "inputdataconfig.json": channels,
        "resourceconfig.json": {
            "current_host": "algo-1",
            "hosts": ["algo-1"],
            "network_interface_name": "eth0",
        },
    }
    for name, content in files.items():
        (job.sandbox.root / "input" / "config" / name).write_text(json.dumps(content))


def archive_of(folder: Path) -> bytes:
    """Return the files under a folder as a gzipped tar; the same files give the same bytes."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(file.relative_to(folder).as_posix())
            member.size = file.stat().st_size
            member.mode = 0o644
            with file.open("rb") as content:
                archive.addfile(member, content)
    return buffer.getvalue()


def final_metrics(log: str) -> list[dict[str, Any]]:
    """Return the last value of each metric that XGBoost has logged, named as SageMaker names it."""
    last: dict[str, float] = {}
    for line in log.splitlines():
        if line.startswith("["):
            last.update(
                {f"{channel}:{metric}": float(value) for channel, metric, value in _METRIC.findall(line)}
            )
    return [{"MetricName": name, "Value": value, "Timestamp": time.time()} for name, value in last.items()]
