"""Processing, training and transform jobs: their records, and the pool that runs them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from local_cloud.runner.jobs import JobPool, JobRequest, JobResult
from local_cloud.sagemaker.arns import Reference, Scope
from local_cloud.sagemaker.errors import ServiceError, invalid, not_found
from local_cloud.sagemaker.models import Models
from local_cloud.sagemaker.paging import created_within, page
from local_cloud.sagemaker.roles import Roles
from local_cloud.sagemaker.store import Record, Store
from local_cloud.sagemaker.tags import Tags


@dataclass(frozen=True)
class JobKind:
    """One of the three kinds of job.

    Attributes
    ----------
    api_name
        As in the names of the operations: ``Processing``, ``Training``, ``Transform``.
    list_order
        Order of its List operation where the request doesn't say.
    """

    api_name: str
    list_order: str

    @property
    def arn_kind(self) -> str:
        """The kind of resource in its ARN."""
        return f"{self.api_name.lower()}-job"


PROCESSING = JobKind("Processing", "Ascending")
TRAINING = JobKind("Training", "Ascending")
TRANSFORM = JobKind("Transform", "Descending")
KINDS = (PROCESSING, TRAINING, TRANSFORM)


class Jobs:
    """The operations on one kind of job."""

    def __init__(
        self, kind: JobKind, store: Store, tags: Tags, models: Models, roles: Roles, pool: JobPool
    ) -> None:
        self._kind = kind
        self._store = store
        self._tags = tags
        self._models = models
        self._roles = roles
        self._pool = pool
        self._name, self._arn, self._status = (
            f"{kind.api_name}Job{part}" for part in ("Name", "Arn", "Status")
        )
        self._started, self._ended = f"{kind.api_name}StartTime", f"{kind.api_name}EndTime"

    def create(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """CreateProcessingJob, CreateTrainingJob, CreateTransformJob."""
        made = Reference(caller, self._kind.arn_kind, request[self._name])
        role_arn, model = self._role_and_model(request, caller)
        session = self._roles.session(role_arn, made.arn)
        record = {
            **{name: value for name, value in request.items() if name != "Tags"},
            self._arn: made.arn,
            self._status: "InProgress",
            "CreationTime": time.time(),
            "LastModifiedTime": time.time(),
        }
        if self._kind is TRAINING:
            record.update(SecondaryStatus="Starting", ModelArtifacts={"S3ModelArtifacts": ""})
        with self._store.lock:
            if self._store.get(made):
                raise ServiceError(
                    "ResourceInUse",
                    "Job name must be unique within an AWS account and region, and a "
                    f"{self._kind.api_name.lower()} job with this name already exists ({made.arn})",
                )
            self._store.put(made, record)
        self._tags.put(made.arn, request.get("Tags") or [])
        self._pool.start(
            JobRequest(self._kind.api_name.lower(), made.name, made.arn, role_arn, request, session, model),
            lambda: self._on_start(record),
            lambda result: self._on_end(record, result),
        )
        return record

    def _role_and_model(self, request: dict[str, Any], caller: Scope) -> tuple[str, dict[str, Any]]:
        if self._kind is not TRANSFORM:
            return request["RoleArn"], {}
        # A transform job has no role of its own: it works under that of its model.
        model = self._models.model(request["ModelName"], caller)
        return model["ExecutionRoleArn"], {
            "image": model["_Image"],
            "model_data_url": model["_ModelDataUrl"],
            "isolated": model.get("EnableNetworkIsolation", False),
        }

    def _on_start(self, record: Record) -> None:
        record[self._started] = record["LastModifiedTime"] = time.time()
        if self._kind is TRAINING:
            record["SecondaryStatus"] = "Training"

    def _on_end(self, record: Record, result: JobResult) -> None:
        with self._store.lock:
            now = time.time()
            record.update(result.fields)
            record.update({self._ended: now, "LastModifiedTime": now, "_Metrics": result.metrics})
            if result.exit_message and self._kind is PROCESSING:
                record["ExitMessage"] = result.exit_message
            if result.failure_reason:
                record["FailureReason"] = result.failure_reason
            if self._kind is TRAINING:
                record["SecondaryStatus"] = result.status
            record[self._status] = result.status

    def _record(self, name: str, caller: Scope) -> Record:
        record = self._store.get(Reference(caller, self._kind.arn_kind, name))
        if record is None:
            message = f"Could not find requested job with name: {name}"
            # The API reference gives ResourceNotFound; training and transform jobs answer otherwise in practice.
            raise not_found(message) if self._kind is PROCESSING else invalid(message)
        return record

    def describe(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DescribeProcessingJob, DescribeTrainingJob, DescribeTransformJob."""
        return self._record(request[self._name], caller)

    def stop(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """StopProcessingJob, StopTrainingJob, StopTransformJob."""
        record = self._record(request[self._name], caller)
        with self._store.lock:
            if record[self._status] not in ("InProgress", "Stopping"):
                raise invalid(
                    f"The request was rejected because the job is in status {record[self._status]}."
                )
            record[self._status] = "Stopping"
        self._pool.stop(record[self._arn])
        return {}

    def list(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """ListProcessingJobs, ListTrainingJobs, ListTransformJobs."""
        status = request.get("StatusEquals")
        wanted = [
            item
            for item in self._store.records(self._kind.arn_kind, caller)
            if request.get("NameContains", "") in item[self._name]
            and (status is None or item[self._status] == status)
            and created_within(item, request)
        ]
        shown, more = page(
            wanted,
            request,
            sort_keys={
                "Name": lambda r: r[self._name],
                "CreationTime": lambda r: r["CreationTime"],
                "Status": lambda r: r[self._status],
            },
            default_key="CreationTime",
            default_order=self._kind.list_order,
        )
        return {f"{self._kind.api_name}JobSummaries": shown, **more}
