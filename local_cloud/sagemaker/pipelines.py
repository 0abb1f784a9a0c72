"""Pipelines: their definitions, versions and what may be done to them."""

from __future__ import annotations

import time
from typing import Any

from local_cloud.runner.clients import RoleClients
from local_cloud.runner.transfer import TransferError, read_object
from local_cloud.sagemaker.arns import Reference, Scope, reference
from local_cloud.sagemaker.definition_rules import check_definition
from local_cloud.sagemaker.errors import conflict, invalid, not_found
from local_cloud.sagemaker.paging import created_within, page
from local_cloud.sagemaker.roles import Roles
from local_cloud.sagemaker.store import Record, Store
from local_cloud.sagemaker.tags import Tags

PIPELINE, EXECUTION = "pipeline", "pipeline-execution"
ENDED = frozenset({"Succeeded", "Failed", "Stopped"})
_KEPT = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")


class Pipelines:
    """The operations on pipelines."""

    def __init__(self, store: Store, tags: Tags, roles: Roles) -> None:
        self._store = store
        self._tags = tags
        self._roles = roles

    def pipeline(self, text: str, caller: Scope) -> tuple[Reference, Record]:
        """Return the pipeline that a name or ARN means."""
        found = reference(text, PIPELINE, caller)
        record = self._store.get(found)
        if record is None:
            raise not_found(f"Pipeline '{found.arn}' does not exist.")
        return found, record

    def version(self, record: Record, version: int | None) -> Record:
        """Return what was current in a version of a pipeline, by default the newest."""
        versions: list[Record] = record["_Versions"]
        if version is None:
            return versions[-1]
        if version > len(versions):
            raise not_found(f"Pipeline version {version} of '{record['PipelineArn']}' does not exist.")
        return versions[version - 1]

    def executions(self, pipeline_arn: str) -> list[Record]:
        """Return the executions of a pipeline, oldest first."""
        executions = self._store.all_records(EXECUTION)
        return [item for item in executions if item["PipelineArn"] == pipeline_arn]

    def create(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """CreatePipeline; a repeated ClientRequestToken gives the pipeline that was made with it."""
        made = Reference(caller, PIPELINE, request["PipelineName"])
        existing = self._store.get(made)
        if existing and existing["_Token"] == request["ClientRequestToken"]:
            return existing
        definition = ""
        if existing is None:
            definition = self._definition(request, request["RoleArn"], made)
        with self._store.lock:
            if self._store.get(made):
                raise invalid(
                    "Pipeline names must be unique within an AWS account and region. "
                    f"Pipeline with name ({made.name}) already exists."
                )
            now = time.time()
            record = {
                **{name: request[name] for name in _KEPT if name in request},
                "PipelineName": made.name,
                "PipelineArn": made.arn,
                "PipelineStatus": "Active",
                "CreationTime": now,
                "LastModifiedTime": now,
                "CreatedBy": {},
                "LastModifiedBy": {},
                "_Token": request["ClientRequestToken"],
                "_Versions": [{"PipelineDefinition": definition, "CreationTime": now}],
            }
            self._store.put(made, record)
        self._tags.put(made.arn, request.get("Tags") or [])
        return record

    def update(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """UpdatePipeline; every new definition makes a version."""
        found, record = self.pipeline(request["PipelineName"], caller)
        definition = None
        if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
            definition = self._definition(request, request.get("RoleArn") or record["RoleArn"], found)
        with self._store.lock:
            record.update({name: request[name] for name in _KEPT if name in request})
            record["LastModifiedTime"] = time.time()
            if definition is not None:
                record["_Versions"].append({"PipelineDefinition": definition, "CreationTime": time.time()})
            return {"PipelineArn": record["PipelineArn"], "PipelineVersionId": len(record["_Versions"])}

    def _definition(self, request: dict[str, Any], role_arn: str, pipeline: Reference) -> str:
        if ("PipelineDefinition" in request) == ("PipelineDefinitionS3Location" in request):
            raise invalid("Give either PipelineDefinition or PipelineDefinitionS3Location")
        if "PipelineDefinition" in request:
            text = str(request["PipelineDefinition"])
            check_definition(text)
            return text
        place = request["PipelineDefinitionS3Location"]
        uri = f"s3://{place['Bucket']}/{place['ObjectKey']}"
        # The caller's secret key is not ours to use: the pipeline's own role reads the object.
        clients = RoleClients(self._roles.session(role_arn, pipeline.arn))
        try:
            text = read_object(clients.client("s3"), uri).decode()
        except TransferError as error:
            raise invalid(f"Unable to read the pipeline definition: {error}") from None
        check_definition(text)
        return text

    def describe(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DescribePipeline, also an earlier version of it."""
        _, record = self.pipeline(request["PipelineName"], caller)
        version = self.version(record, request.get("PipelineVersionId"))
        return {**record, "PipelineDefinition": version["PipelineDefinition"]}

    def list(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """ListPipelines."""
        wanted = [
            {**item, "LastExecutionTime": item.get("LastRunTime")}
            for item in self._store.records(PIPELINE, caller)
            if item["PipelineName"].startswith(request.get("PipelineNamePrefix", ""))
            and created_within(item, request)
        ]
        shown, more = page(
            wanted,
            request,
            sort_keys={"Name": lambda r: r["PipelineName"], "CreationTime": lambda r: r["CreationTime"]},
            default_key="CreationTime",
            default_order="Descending",
        )
        return {"PipelineSummaries": shown, **more}

    def delete(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DeletePipeline; refused while it runs."""
        with self._store.lock:
            found, record = self.pipeline(request["PipelineName"], caller)
            executions = self.executions(record["PipelineArn"])
            if any(item["PipelineExecutionStatus"] not in ENDED for item in executions):
                raise conflict(
                    f"Pipeline '{found.arn}' has running executions: stop them before you delete it."
                )
            self._store.remove(found)
        self._tags.forget(found.arn)
        return {"PipelineArn": found.arn}
