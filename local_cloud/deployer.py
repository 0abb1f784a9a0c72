"""Deploys a synthesized cloud assembly in a second or two, for tests; the CDK CLI takes ten times as long."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError

from local_cloud.assembly import StackArtifact, read_assembly
from local_cloud.cloud import LocalCloud
from local_cloud.stack_state import (
    NEVER_THERE,
    DeploymentError,
    change_set_created,
    describe,
    event_ids,
    settled,
)

__all__ = ["DeployedStack", "DeploymentError", "deploy", "destroy"]

_BOOTSTRAP_VERSION = "30"
_INLINE_TEMPLATE_BYTES = 51_200
_Result = TypeVar("_Result")
_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


@dataclass(frozen=True, kw_only=True)
class DeployedStack:
    """What became of a stack.

    Attributes
    ----------
    name
        Its name in CloudFormation.
    account, region
        Where it is.
    status
        e.g. ``CREATE_COMPLETE``.
    changed
        False where there was nothing to update.
    outputs
        Its outputs by key.
    """

    name: str
    account: str
    region: str
    status: str
    changed: bool
    outputs: dict[str, str]


def deploy(
    cloud: LocalCloud,
    assembly: Path,
    *,
    stacks: Sequence[str] | None = None,
    parameters: Mapping[str, str] | None = None,
    import_existing: bool = False,
) -> dict[str, DeployedStack]:
    """Deploy the stacks of a cloud assembly, in parallel where they don't depend on each other.

    Parameters
    ----------
    cloud
        Where to.
    assembly
        The output of ``cdk synth``.
    stacks
        Which; ids, names or construct paths. Default: all.
    parameters
        Template parameters, given to each stack that declares them.
    import_existing
        Take up resources of the same name that exist already, as ``--import-existing-resources`` does.

    Returns
    -------
    dict
        By artifact id.

    Raises
    ------
    DeploymentError
        A stack failed: names the resource and the reason. Stacks that don't depend on it are deployed.
    """
    artifacts = read_assembly(assembly, stacks)
    return _in_order(
        artifacts,
        lambda artifact: artifact.after,
        lambda artifact: _deploy_stack(cloud, artifact, parameters or {}, import_existing=import_existing),
    )


def destroy(cloud: LocalCloud, assembly: Path, *, stacks: Sequence[str] | None = None) -> None:
    """Delete the stacks of a cloud assembly, those that others depend on last.

    Parameters
    ----------
    cloud
        Where.
    assembly
        The output of ``cdk synth``.
    stacks
        Which. Default: all.

    Raises
    ------
    DeploymentError
        A stack could not be deleted: names the resource and the reason.
    """
    artifacts = read_assembly(assembly, stacks)
    dependents = {
        one.artifact_id: tuple(o.artifact_id for o in artifacts if one.artifact_id in o.after)
        for one in artifacts
    }
    _in_order(
        artifacts,
        lambda artifact: dependents[artifact.artifact_id],
        lambda artifact: _delete_stack(cloud, artifact),
    )


def _in_order(
    artifacts: Sequence[StackArtifact],
    after: Callable[[StackArtifact], Sequence[str]],
    act: Callable[[StackArtifact], _Result],
) -> dict[str, _Result]:
    """Act on each as soon as what it waits for is done; what waits for a failed one is left out."""
    waiting = {artifact.artifact_id: artifact for artifact in artifacts}
    done: dict[str, _Result] = {}
    failures: list[BaseException] = []
    running: dict[concurrent.futures.Future[_Result], str] = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        while True:
            started = {*running.values()}
            for artifact_id, artifact in list(waiting.items()):
                blocked = any(other in waiting or other in started for other in after(artifact))
                if not blocked and not failures:
                    running[pool.submit(act, waiting.pop(artifact_id))] = artifact_id
            if not running:
                break
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                artifact_id = running.pop(future)
                if error := future.exception():
                    failures.append(error)
                else:
                    done[artifact_id] = future.result()
    if failures:
        raise failures[0]
    return done


def _upload(session: boto3.Session, artifact: StackArtifact) -> None:
    """Do what bootstrapping and publishing do: a bucket, the version, the assets."""
    s3 = session.client("s3")
    for bucket in {asset.bucket for asset in artifact.assets}:
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket)
    for asset in artifact.assets:
        s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=asset.content())
    if artifact.bootstrap_parameter:
        session.client("ssm").put_parameter(
            Name=artifact.bootstrap_parameter, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True
        )


def _template_argument(cloud: LocalCloud, artifact: StackArtifact) -> dict[str, str]:
    if len(artifact.template.encode()) <= _INLINE_TEMPLATE_BYTES:
        return {"TemplateBody": artifact.template}
    asset = next(asset for asset in artifact.assets if asset.content() == artifact.template.encode())
    return {"TemplateURL": f"{cloud.endpoint}/{asset.bucket}/{asset.key}"}


def _deploy_stack(
    cloud: LocalCloud, artifact: StackArtifact, parameters: Mapping[str, str], *, import_existing: bool
) -> DeployedStack:
    session = cloud.session(artifact.account, artifact.region)
    cloudformation = session.client("cloudformation")
    _upload(session, artifact)
    declared = json.loads(artifact.template).get("Parameters", {})
    request: dict[str, Any] = {
        "StackName": artifact.name,
        "Capabilities": _CAPABILITIES,
        "Tags": [{"Key": key, "Value": value} for key, value in artifact.tags.items()],
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in parameters.items()
            if key in declared
        ],
        **_template_argument(cloud, artifact),
    }
    existing = describe(cloudformation, artifact.name)
    if existing and existing["StackStatus"] in NEVER_THERE:
        # A stack that never came to be can only be deleted; the CLI does so too.
        _delete_stack(cloud, artifact)
        existing = None
    seen = event_ids(cloudformation, artifact.name) if existing else set()
    changed = True
    if import_existing:
        changed = _by_change_set(cloudformation, request, create=existing is None)
    elif existing is None:
        cloudformation.create_stack(**request)
    else:
        try:
            cloudformation.update_stack(**request)
        except ClientError as error:
            if "No updates" not in str(error):
                raise DeploymentError(f"{artifact.name}: {error}") from error
            changed = False
    stack = settled(
        cloudformation, artifact.name, seen, good=("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
    )
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return DeployedStack(
        name=artifact.name,
        account=artifact.account,
        region=artifact.region,
        status=stack["StackStatus"],
        changed=changed,
        outputs=outputs,
    )


def _by_change_set(cloudformation: Any, request: dict[str, Any], *, create: bool) -> bool:
    name = f"deploy-{time.time_ns()}"
    kind = "CREATE" if create else "UPDATE"
    cloudformation.create_change_set(
        **request, ChangeSetName=name, ChangeSetType=kind, ImportExistingResources=True
    )
    try:
        changes = change_set_created(cloudformation, request["StackName"], name)
    except DeploymentError:
        cloudformation.delete_change_set(ChangeSetName=name, StackName=request["StackName"])
        raise
    if not changes:
        cloudformation.delete_change_set(ChangeSetName=name, StackName=request["StackName"])
        return False
    cloudformation.execute_change_set(ChangeSetName=name, StackName=request["StackName"])
    return True


def _delete_stack(cloud: LocalCloud, artifact: StackArtifact) -> None:
    cloudformation = cloud.session(artifact.account, artifact.region).client("cloudformation")
    stack = describe(cloudformation, artifact.name)
    if stack is None:
        return
    seen = event_ids(cloudformation, artifact.name)
    cloudformation.delete_stack(StackName=artifact.name)
    settled(cloudformation, stack["StackId"], seen, good=("DELETE_COMPLETE",))
