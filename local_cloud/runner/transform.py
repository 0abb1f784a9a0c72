"""A batch transform job: a model and lines of CSV in, a score a line out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.runner.data_processing import Filter, FilterError, column_filter, filtered, joined
from local_cloud.runner.jobs import Job, JobError, JobResult
from local_cloud.runner.model_archive import unpack_model
from local_cloud.runner.training import XGBOOST_IMAGE, xgboost_program
from local_cloud.runner.transfer import objects_under, read_object, upload


@dataclass(frozen=True)
class _Filters:
    into: Filter
    out: Filter
    join: bool

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> _Filters:
        processing = request.get("DataProcessing") or {}
        return cls(
            column_filter(processing.get("InputFilter")),
            column_filter(processing.get("OutputFilter")),
            processing.get("JoinSource", "None") == "Input",
        )


@dataclass(frozen=True)
class _Part:
    uri: str
    relative: str
    lines: list[str]
    scores: Path


def run(job: Job) -> JobResult:
    """Run a transform job."""
    request = job.request.request
    _check(request, job.request.model)
    model = job.sandbox.root / "model"
    _unpack_model(job, model)
    try:
        filters = _Filters.of(request)
        parts, requests = _prepare(job, filters)
        requests_file = job.sandbox.folder / "tmp" / "requests.json"
        requests_file.write_text(json.dumps(requests))
        command, environment = xgboost_program("serve", str(model), str(requests_file))
        code = job.run_container(command, {**environment, **(request.get("Environment") or {})})
        if code != 0:
            words = job.sandbox.failure_reason(code)
            kind = "ClientError" if words.startswith(("AlgorithmError: 4",)) else "AlgorithmError"
            raise JobError(f"{kind}: the model container answered {words.removeprefix('AlgorithmError: ')}")
        for part in parts:
            _write(job, part, filters)
    except FilterError as error:
        raise JobError(f"ClientError: {error}") from error
    return JobResult("Completed")


def _check(request: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    data = request["TransformInput"]
    if (
        data["DataSource"]["S3DataSource"]["S3DataType"] != "S3Prefix"
        or data.get("CompressionType", "None") != "None"
    ):
        raise JobError("ClientError: only uncompressed input of S3DataType S3Prefix is emulated")
    if data.get("ContentType", "text/csv").split(";")[0] != "text/csv":
        raise JobError(f"ClientError: content type {data['ContentType']!r} isn't emulated, use text/csv")
    if not XGBOOST_IMAGE.search(model["image"]):
        raise JobError(f"UnsupportedStep: image {model['image']!r} isn't the built-in XGBoost container")


def _unpack_model(job: Job, folder: Path) -> None:
    model = job.request.model
    archive = job.sandbox.folder / "tmp" / "model.tar.gz"
    archive.write_bytes(read_object(job.clients.client("s3"), model["model_data_url"]))
    unpack_model(archive, folder, model["model_data_url"])


def _prepare(job: Job, filters: _Filters) -> tuple[list[_Part], list[dict[str, str]]]:
    s3 = job.clients.client("s3")
    uri = job.request.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    parts, requests = [], []
    for number, (source, relative) in enumerate(objects_under(s3, uri, job.request.role_arn)):
        lines = [line for line in read_object(s3, source).decode().splitlines() if line.strip()]
        payload, scores = (job.sandbox.folder / "tmp" / f"{number}.{kind}" for kind in ("csv", "scores"))
        payload.write_text("".join(f"{line}\n" for line in filtered(lines, filters.into)))
        parts.append(_Part(source, relative, lines, scores))
        requests.append({"input": str(payload), "output": str(scores), "source": source})
    return parts, requests


def _write(job: Job, part: _Part, filters: _Filters) -> None:
    output = job.request.request["TransformOutput"]
    lines = part.scores.read_text().splitlines()
    if filters.join:
        lines = joined(part.lines, lines)
    lines = filtered(lines, filters.out)
    end = "\n" if output.get("AssembleWith") == "Line" else ""
    result = job.sandbox.folder / "tmp" / "result.out"
    result.write_text("\n".join(lines) + (end if lines else ""))
    upload(
        job.clients.client("s3"),
        result,
        f"{output['S3OutputPath'].rstrip('/')}/{part.relative}.out",
        output.get("KmsKeyId"),
    )
