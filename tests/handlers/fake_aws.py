"""Small in-memory AWS: S3, SageMaker, SNS, EventBridge, CloudWatch, with the real ones' errors and request shapes."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

ACCOUNT, REGISTRY = "222222222222", "111111111111"
REGION = "eu-central-1"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def refusal(code: str, message: str = "no", operation: str = "Operation") -> Exception:
    """An error as AWS answers it."""
    error: Exception = ClientError({"Error": {"Code": code, "Message": message}}, operation)
    return error


@cache
def _model(service: str) -> Any:
    return ServiceModel(Loader().load_service_model(service, "service-2"))


class Service:
    """A service that checks each request against AWS's own description, and fails where a test says so."""

    service = ""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._failures: dict[str, list[Exception]] = defaultdict(list)
        self.lock = threading.RLock()

    def fail(self, operation: str, error: Exception, times: int = 1) -> None:
        """Let the next calls of an operation fail."""
        self._failures[operation] += [error] * times

    def called(self, operation: str) -> list[dict[str, Any]]:
        """Requests of one operation so far."""
        return [request for name, request in self.calls if name == operation]

    def _receive(self, operation: str, request: dict[str, Any]) -> None:
        shape = _model(self.service).operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        with self.lock:
            self.calls.append((operation, request))
            if self._failures[operation]:
                raise self._failures[operation].pop(0)


class FakeS3(Service):
    """Buckets of bytes, with conditional writes and pages."""

    service = "s3"

    def __init__(self, *buckets: str, page: int = 1000) -> None:
        super().__init__()
        self.objects: dict[str, dict[str, bytes]] = {bucket: {} for bucket in buckets}
        self.page = page
        self.before_put: Callable[[str, str], None] | None = None
        self.modified: dict[str, datetime] = {}  # by key; else long ago
        self.version_ids: dict[str, str] = {}  # by key; else made of the bytes

    def put_object(self, **request: Any) -> dict[str, Any]:
        bucket, key, body = request["Bucket"], request["Key"], bytes(request["Body"])
        if self.before_put:
            self.before_put(bucket, key)
        self._receive("PutObject", request)
        with self.lock:
            there = self._bucket(bucket).get(key)
            if request.get("IfNoneMatch") == "*" and there is not None:
                raise refusal(
                    "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
                )
            if "IfMatch" in request:
                if there is None:
                    raise refusal("NoSuchKey", "The specified key does not exist.")
                if request["IfMatch"] != etag(there):
                    raise refusal(
                        "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
                    )
            self._bucket(bucket)[key] = body
        return {"ETag": etag(body)}

    def get_object(self, **request: Any) -> dict[str, Any]:
        self._receive("GetObject", request)
        body = self._bucket(request["Bucket"]).get(request["Key"])
        if body is None:
            # without s3:ListBucket for exactly this call S3 doesn't say that a key is missing
            raise refusal("AccessDenied", "Access Denied")
        version = self._version(request["Key"], body)
        return {"Body": io.BytesIO(body), "ETag": etag(body), "VersionId": version}

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        self._receive("ListObjectsV2", request)
        with self.lock:
            keys = sorted(
                key for key in self._bucket(request["Bucket"]) if key.startswith(request.get("Prefix", ""))
            )
            start = int(request.get("ContinuationToken", 0))
            end = start + min(request.get("MaxKeys", 1000), self.page)
            contents = []
            for key in keys[start:end]:
                body = self._bucket(request["Bucket"])[key]
                modified = self.modified.get(key, NOW - timedelta(days=365))
                contents.append({"Key": key, "Size": len(body), "ETag": etag(body), "LastModified": modified})
        answer: dict[str, Any] = {"IsTruncated": end < len(keys), "Contents": contents}
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = str(end)
        return answer if contents else {"IsTruncated": False}

    def list_object_versions(self, **request: Any) -> dict[str, Any]:
        """Current versions only, and no delete markers."""
        self._receive("ListObjectVersions", request)
        objects = self._bucket(request["Bucket"])
        found = [
            {
                "Key": key,
                "VersionId": self._version(key, objects[key]),
                "IsLatest": True,
                "ETag": etag(objects[key]),
                "Size": len(objects[key]),
                "LastModified": self.modified.get(key, NOW - timedelta(days=365)),
            }
            for key in sorted(objects)
            if key.startswith(request.get("Prefix", ""))
        ]
        return {"IsTruncated": False, **({"Versions": found} if found else {})}

    def _version(self, key: str, body: bytes) -> str:
        return self.version_ids.get(key, f"v-{etag(body)[1:13]}")

    def json(self, bucket: str, key: str) -> dict[str, Any]:
        """What an object holds."""
        value: dict[str, Any] = json.loads(self.objects[bucket][key])
        return value

    def put(self, bucket: str, key: str, value: str | bytes | dict[str, Any] = b"rows") -> None:
        """Lay down an object, as someone else would."""
        body = json.dumps(value).encode() if isinstance(value, dict) else value
        self.objects[bucket][key] = body.encode() if isinstance(body, str) else body

    def _bucket(self, bucket: str) -> dict[str, bytes]:
        if bucket not in self.objects:
            raise refusal("NoSuchBucket", "The specified bucket does not exist")
        return self.objects[bucket]


def etag(body: bytes) -> str:
    """ETag of an object, with its quotation marks."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class FakeSns(Service):
    """A topic that keeps what was published."""

    service = "sns"

    def publish(self, **request: Any) -> dict[str, str]:
        self._receive("Publish", request)
        subject = request["Subject"]
        if len(subject) >= 100 or not subject.isascii() or "\n" in subject or not subject.isprintable():
            raise refusal("InvalidParameter", "Invalid parameter: Subject")
        if len(request["Message"].encode()) > 262_144:
            raise refusal("InvalidParameter", "Invalid parameter: Message too long")
        with self.lock:
            self.published.append(request)
        return {"MessageId": f"message-{len(self.published)}"}

    def __init__(self) -> None:
        super().__init__()
        self.published: list[dict[str, str]] = []


class FakeEvents(Service):
    """A bus that keeps its entries, or refuses them the way PutEvents does: with an answer of 200."""

    service = "events"

    def __init__(self) -> None:
        super().__init__()
        self.refuse = False

    def put_events(self, **request: Any) -> dict[str, Any]:
        self._receive("PutEvents", request)
        if self.refuse:
            failed = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
            return {"FailedEntryCount": 1, "Entries": [failed]}
        assert len(request["Entries"][0]["Detail"].encode()) < 256 * 1024
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    def details(self) -> list[dict[str, Any]]:
        """Details of all events."""
        return [
            json.loads(entry["Detail"])
            for request in self.called("PutEvents")
            for entry in request["Entries"]
        ]


class FakeCloudWatch(Service):
    """Keeps metric data."""

    service = "cloudwatch"

    def put_metric_data(self, **request: Any) -> dict[str, Any]:
        self._receive("PutMetricData", request)
        return {}

    def values(self) -> dict[str, float]:
        """Value of each metric."""
        return {
            one["MetricName"]: one["Value"]
            for call in self.called("PutMetricData")
            for one in call["MetricData"]
        }


class FakeSageMaker(Service):
    """Pipelines, executions, tags and model packages."""

    service = "sagemaker"

    def __init__(self, page: int = 2) -> None:
        super().__init__()
        self.page = page
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        self.executions: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self.parameters: dict[str, str] = {}
        self.execution: dict[str, Any] = {}
        self.packages: list[dict[str, Any]] = []
        self.caller = f"arn:aws:sts::{REGISTRY}:assumed-role/mlops-registry-recorder/function"
        self.polls_to_stop = 1
        self._tokens: dict[str, Any] = {}

    # pipelines

    def create_pipeline(self, **request: Any) -> dict[str, Any]:
        self._receive("CreatePipeline", request)
        name, token = request["PipelineName"], request["ClientRequestToken"]
        if token in self._tokens:
            return {"PipelineArn": self.pipelines[name]["PipelineArn"]}
        if name in self.pipelines:
            raise refusal("ConflictException", f"Pipeline with name {name} already exists.")
        _check_definition(request)
        self._tokens[token] = name
        return self._keep(name, request)

    def _keep(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        arn = pipeline_arn(name)
        self.pipelines[name] = {**request, "PipelineArn": arn, "PipelineStatus": "Active"}
        self.tags[arn] |= {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        return {"PipelineArn": arn}

    def make_pipeline(self, name: str, **tags: str) -> None:
        """A pipeline that someone else made."""
        definition = {"PipelineName": name, "PipelineDefinition": "{}", "RoleArn": "former"}
        self._keep(
            name, {**definition, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        )

    def update_pipeline(self, **request: Any) -> dict[str, Any]:
        self._receive("UpdatePipeline", request)
        self._pipeline(request["PipelineName"])
        _check_definition(request)
        self.pipelines[request["PipelineName"]] |= request
        return {"PipelineArn": pipeline_arn(request["PipelineName"]), "PipelineVersionId": 2}

    def describe_pipeline(self, **request: Any) -> dict[str, Any]:
        self._receive("DescribePipeline", request)
        return dict(self._pipeline(request["PipelineName"]))

    def delete_pipeline(self, **request: Any) -> dict[str, Any]:
        self._receive("DeletePipeline", request)
        name = request["PipelineName"]
        self._pipeline(name)
        if any(one["PipelineExecutionStatus"] in ("Executing", "Stopping") for one in self.executions):
            raise refusal("ConflictException", "Pipeline has running executions")
        del self.pipelines[name]
        return {"PipelineArn": pipeline_arn(name)}

    def _pipeline(self, name: str) -> dict[str, Any]:
        if name not in self.pipelines:
            raise refusal("ResourceNotFound", f"Pipeline '{pipeline_arn(name)}' does not exist.")
        return self.pipelines[name]

    def list_tags(self, **request: Any) -> dict[str, Any]:
        self._receive("ListTags", request)
        tags = [{"Key": key, "Value": value} for key, value in self.tags[request["ResourceArn"]].items()]
        return self._paged("Tags", tags, request)

    def add_tags(self, **request: Any) -> dict[str, Any]:
        self._receive("AddTags", request)
        self.tags[request["ResourceArn"]] |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {}

    def delete_tags(self, **request: Any) -> dict[str, Any]:
        self._receive("DeleteTags", request)
        for key in request["TagKeys"]:
            self.tags[request["ResourceArn"]].pop(key, None)
        return {}

    # executions

    def add_execution(self, pipeline: str, execution_id: str, status: str = "Executing") -> str:
        """An execution that someone started."""
        arn = f"{pipeline_arn(pipeline)}/execution/{execution_id}"
        self.executions.insert(
            0, {"PipelineExecutionArn": arn, "PipelineExecutionStatus": status, "StartTime": NOW}
        )
        return arn

    def start_pipeline_execution(self, **request: Any) -> dict[str, Any]:
        self._receive("StartPipelineExecution", request)
        with self.lock:
            key = "start:" + request["ClientRequestToken"]
            if key not in self._tokens:
                self._tokens[key] = self.add_execution(
                    request["PipelineName"], f"train{len(self.executions):07d}"
                )
            return {"PipelineExecutionArn": self._tokens[key]}

    def list_pipeline_executions(self, **request: Any) -> dict[str, Any]:
        self._receive("ListPipelineExecutions", request)
        for one in self.executions:
            if one["PipelineExecutionStatus"] == "Stopping" and "NextToken" not in request:
                one["Polls"] = one.get("Polls", 0) + 1
                if one["Polls"] > self.polls_to_stop:
                    one["PipelineExecutionStatus"] = "Stopped"
        mine = [
            one
            for one in self.executions
            if f"pipeline/{request['PipelineName']}/" in one["PipelineExecutionArn"]
        ]
        return self._paged("PipelineExecutionSummaries", mine, request)

    def stop_pipeline_execution(self, **request: Any) -> dict[str, Any]:
        self._receive("StopPipelineExecution", request)
        for one in self.executions:
            if one["PipelineExecutionArn"] == request["PipelineExecutionArn"]:
                one["PipelineExecutionStatus"] = "Stopping"
        return {"PipelineExecutionArn": request["PipelineExecutionArn"]}

    def describe_pipeline_execution(self, **request: Any) -> dict[str, Any]:
        self._receive("DescribePipelineExecution", request)
        return dict(self.execution)

    def list_pipeline_execution_steps(self, **request: Any) -> dict[str, Any]:
        self._receive("ListPipelineExecutionSteps", request)
        return self._paged("PipelineExecutionSteps", self.steps, request)

    def list_pipeline_parameters_for_execution(self, **request: Any) -> dict[str, Any]:
        self._receive("ListPipelineParametersForExecution", request)
        given = [{"Name": name, "Value": value} for name, value in self.parameters.items()]
        return self._paged("PipelineParameters", given, request)

    # registry

    def add_version(self, group: str, status: str, age: timedelta = timedelta(0), **more: Any) -> str:
        """A registered version."""
        number = 1 + sum(one["ModelPackageGroupName"] == group for one in self.packages)
        arn = f"arn:aws:sagemaker:{REGION}:{REGISTRY}:model-package/{group}/{number}"
        package = {
            "ModelPackageGroupName": group,
            "ModelPackageVersion": number,
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": status,
            "CreationTime": NOW - age,
            **more,
        }
        self.packages.append(package)
        return arn

    def list_model_packages(self, **request: Any) -> dict[str, Any]:
        self._receive("ListModelPackages", request)
        group = request["ModelPackageGroupName"].rsplit("/", 1)[-1]
        wanted = request.get("ModelApprovalStatus")
        names = ("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageStatus")
        found = [
            {name: one[name] for name in (*names, "ModelApprovalStatus", "CreationTime") if name in one}
            for one in self.packages
            if one["ModelPackageGroupName"] == group and wanted in (None, one["ModelApprovalStatus"])
        ]
        return self._paged("ModelPackageSummaryList", found, request)

    def describe_model_package(self, **request: Any) -> dict[str, Any]:
        self._receive("DescribeModelPackage", request)
        for one in self.packages:
            if one["ModelPackageArn"] == request["ModelPackageName"]:
                return dict(one)
        raise refusal("ValidationException", f"ModelPackage {request['ModelPackageName']} does not exist.")

    def update_model_package(self, **request: Any) -> dict[str, Any]:
        """Properties that aren't named go, as the documentation doesn't say that they stay."""
        self._receive("UpdateModelPackage", request)
        for one in self.packages:
            if one["ModelPackageArn"] == request["ModelPackageArn"]:
                one.update({key: value for key, value in request.items() if key != "ModelPackageArn"})
                one["LastModifiedBy"] = {"IamIdentity": {"Arn": self.caller}}
                return {"ModelPackageArn": one["ModelPackageArn"]}
        raise refusal("ValidationException", f"ModelPackage {request['ModelPackageArn']} does not exist.")

    def _paged(self, field: str, items: list[Any], request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("NextToken", 0))
        end = start + self.page
        answer: dict[str, Any] = {field: items[start:end]}
        if end < len(items):
            answer["NextToken"] = str(end)
        return answer


def pipeline_arn(name: str) -> str:
    """ARN of a pipeline of the stage's account."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{name}"


def group_arn(name: str) -> str:
    """ARN of a package group of the registry."""
    return f"arn:aws:sagemaker:{REGION}:{REGISTRY}:model-package-group/{name}"


def _check_definition(request: dict[str, Any]) -> None:
    if '"Type":"Nonsense"' in request["PipelineDefinition"]:
        raise refusal(
            "ValidationException", "Unable to parse pipeline definition. Unknown step type: Nonsense"
        )


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self, start: datetime = NOW) -> None:
        self.seconds = 0.0
        self._start = start

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.seconds)


class Context:
    """What Lambda tells a function about its invocation."""

    log_group_name = "/aws/lambda/function"
    log_stream_name = "stream"

    def __init__(self, seconds: float = 900, request_id: str = "request-1") -> None:
        self._seconds = seconds
        self.aws_request_id = request_id

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)
