"""A processing job: inputs in, the container's program, outputs out; on each of its instances."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local_cloud.runner import quality_check
from local_cloud.runner.jobs import Job, JobError, JobResult
from local_cloud.runner.transfer import download_objects, objects_under, upload_folder

Objects = list[tuple[str, str]]  # URI of each, and its path in the folder of its input


def run(job: Job) -> JobResult:
    """Run a processing job.

    Its instances take their turns, on one machine: a program that waits for the other instances would wait until the
    job's time, which is that of all turns, is over. The first that fails fails the job, and nothing is uploaded.
    """
    request = job.request.request
    hosts = host_names(request)
    inputs = [(item, _objects(job, item)) for item in request.get("ProcessingInputs") or []]
    outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    instances = [job, *(job.on_instance(host) for host in hosts[1:])]
    for number, instance in enumerate(instances):
        _write_configuration(instance, hosts, number)
        for item, objects in inputs:
            share = shares(objects, len(hosts), _distribution(item))[number]
            _fetch(instance, item, share)
        for item in outputs:
            _folder_of(instance, item["S3Output"], item["OutputName"]).mkdir(parents=True, exist_ok=True)
        code = instance.run_container(_command(instance), _environment(instance))
        if code != 0:
            reason = instance.sandbox.failure_reason(code)
            return JobResult("Failed", reason, instance.sandbox.exit_message())
    kms_key = (request.get("ProcessingOutputConfig") or {}).get("KmsKeyId")
    s3 = job.clients.client("s3")
    for instance in instances:
        for item in outputs:
            target = item["S3Output"]
            upload_folder(s3, _folder_of(instance, target, item["OutputName"]), target["S3Uri"], kms_key)
    said = [instance.sandbox.exit_message() for instance in instances]
    return JobResult("Completed", exit_message=next((message for message in said if message), None))


def host_names(request: Mapping[str, Any]) -> list[str]:
    """Return what the instances of a job are called."""
    count = request["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
    return [f"algo-{number}" for number in range(1, count + 1)]


def shares(objects: Objects, instances: int, distribution: str) -> list[Objects]:
    """Return the objects of an input that each instance gets.

    ``ShardedByS3Key`` deals them out in the order of their keys, so an instance may get none; else each gets all.
    See https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
    """
    if distribution != "ShardedByS3Key":
        return [objects] * instances
    ordered = sorted(objects)
    return [ordered[number::instances] for number in range(instances)]


def _distribution(item: Mapping[str, Any]) -> str:
    return str(item["S3Input"].get("S3DataDistributionType") or "FullyReplicated")


def _write_configuration(job: Job, hosts: Sequence[str], number: int) -> None:
    """Write what a container finds out about its cluster by.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """
    folder = job.sandbox.root / "config"
    folder.mkdir(exist_ok=True)
    described = {
        "current_host": hosts[number],
        "hosts": list(hosts),
        "network_interface_name": "eth0",
    }
    (folder / "resourceconfig.json").write_text(json.dumps(described))


def _command(job: Job) -> list[str]:
    specification = job.request.request["AppSpecification"]
    entrypoint = specification.get("ContainerEntrypoint") or quality_check.analyzer(specification["ImageUri"])
    return job.sandbox.command(entrypoint, specification.get("ContainerArguments") or [])


def _environment(job: Job) -> dict[str, str]:
    return {
        "PROCESSING_JOB_NAME": job.request.name,
        "PROCESSING_JOB_ARN": job.request.arn,
        **(job.request.request.get("Environment") or {}),
    }


def _objects(job: Job, item: Mapping[str, Any]) -> Objects:
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
    return objects_under(job.clients.client("s3"), source["S3Uri"], job.request.role_arn)


def _fetch(job: Job, item: Mapping[str, Any], objects: Objects) -> None:
    folder = _folder_of(job, item["S3Input"], str(item.get("InputName")))
    folder.mkdir(parents=True, exist_ok=True)
    download_objects(job.clients.client("s3"), objects, folder, job.request.role_arn)


def _folder_of(job: Job, where: Mapping[str, Any], name: str) -> Any:
    try:
        return job.sandbox.path(where.get("LocalPath") or f"/opt/ml/processing/{name}")
    except ValueError as error:
        raise JobError(f"ClientError: {name}: {error}") from error
