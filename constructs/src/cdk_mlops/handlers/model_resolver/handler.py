"""The Lambda step that tells a run which model version, baseline and batch it works with.

`resolve_model` (inference), `resolve_champion` (train), `resolve_ground_truth` (quality); inputs and outputs are in
docs/architecture.md.
An exception's class is the first word of its message, because SageMaker shows only text.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from model_resolver.batches import (
    BatchAlreadyScored,
    BatchAmbiguous,
    BatchNotFound,
    fill_date,
    find_batch,
    refuse_scored,
)
from model_resolver.ground_truth import (
    BatchNotScored,
    GroundTruthNotFound,
    GroundTruths,
    Waiting,
    is_everything,
)
from model_resolver.records import ApprovalNotRecorded, Records
from model_resolver.versions import (
    NEWEST_APPROVED,
    BadVersion,
    IncompleteVersion,
    NoApprovedModel,
    VersionNotApproved,
    VersionNotFound,
    artifact_uri,
    evaluation_uri,
    files_of,
    find_version,
    image_uri,
    newest_approved,
)
from shared import aws, environment, history, log
from shared.artifacts import (
    CONSTRAINTS,
    FILES,
    MODEL,
    STATISTICS,
    ModelArtifactChanged,
    look_at,
    refuse_changed,
    uris_of,
)
from shared.objects import ObjectStore
from shared.text import one_line, shorten

# SageMaker: at most 1,024 characters a value of a Lambda step.
VALUE_LIMIT = 1024

OF_THE_VERSION = (
    NoApprovedModel,
    VersionNotFound,
    VersionNotApproved,
    IncompleteVersion,
    ApprovalNotRecorded,
    ModelArtifactChanged,
)


class BadRequest(Exception):
    """The step's inputs are not what the contract says."""


@dataclass(frozen=True)
class Settings:
    """What the function knows from its environment.

    Parameters
    ----------
    only_approved
        Whether versions that aren't approved are refused, even where a run asks for one.
    only_released
        Whether approved versions are refused until they are released to prod.
    approvals_recorded
        Whether the registry records what was approved, so that an approved version without a record is refused.
    """

    stage: str
    model_name: str
    data_bucket: str
    only_approved: bool = True
    only_released: bool = False
    approvals_recorded: bool = True

    @classmethod
    def load(cls) -> Settings:
        """Read the environment."""
        stage, model, bucket = (
            environment.text(os.environ, name) for name in ("STAGE", "MODEL_NAME", "DATA_BUCKET")
        )
        versions = environment.one_of(os.environ, "VERSIONS", ("approved", "released", "any"), "approved")
        approvals = environment.one_of(os.environ, "APPROVALS", ("recorded", "unrecorded"), "recorded")
        return cls(stage, model, bucket, versions != "any", versions == "released", approvals == "recorded")


@dataclass(frozen=True)
class Resolver:
    """The three actions, with everything they reach."""

    settings: Settings
    sagemaker: Any
    open_bucket: Callable[[str], ObjectStore]
    sleep: Callable[[float], None] = time.sleep

    @property
    def records(self) -> Records:
        """What was approved of each version."""
        return Records(
            self.sagemaker, self.open_bucket, expected=self.settings.approvals_recorded, sleep=self.sleep
        )

    def resolve_model(self, event: dict[str, Any]) -> dict[str, str]:
        """Resolve what an inference run works with."""
        group, wanted = _required(event, "model_package_group_arn"), _required(event, "transform_input")
        uri = fill_date(wanted, str(event.get("started_at", "")))
        version = str(event.get("model_version_wanted", NEWEST_APPROVED)).strip()
        rescore = str(event.get("rescore", "false")).strip().lower() == "true"
        try:
            resolved = self._resolve_batch(group, version, uri, rescore)
        except OF_THE_VERSION as error:
            # whoever mends the version scores this batch next
            raise type(error)(f"{error}. Batch: {uri}") from error
        return {**resolved, **self._history(event)}

    def _resolve_batch(self, group: str, wanted: str, uri: str, rescore: bool) -> dict[str, str]:
        version, package = find_version(
            self.sagemaker,
            group,
            wanted,
            only_approved=self.settings.only_approved,
            only_released=self.settings.only_released,
        )
        files = files_of(package)
        current = self.records.check(version, package, files)
        batch = find_batch(self.open_bucket, uri)
        if not rescore:
            store = self.open_bucket(self.settings.data_bucket)
            refuse_scored(store, self.settings.model_name, batch, version.number)
        return {
            "model_package_arn": version.arn,
            "model_version": str(version.number),
            "image_uri": image_uri(package),
            "model_uri": files[MODEL],
            "statistics_uri": files[STATISTICS],
            "constraints_uri": files[CONSTRAINTS],
            "file_versions": " ".join(current[name].version_id for name in FILES),
            "batch_uri": batch.uri,
            "batch_digest": batch.digest,
        }

    def _history(self, event: dict[str, Any]) -> dict[str, str]:
        """Lay down what was found about the last batches, for the check of this one."""
        run_uri, execution_id = (str(event.get(name, "")).strip() for name in ("run_uri", "execution_id"))
        if not run_uri or not execution_id:
            return {}  # a definition that was compiled before there was a history
        bucket, key = aws.split_uri(f"{run_uri.rstrip('/')}/{execution_id}/history/history.json")
        own = self.open_bucket(self.settings.data_bucket)
        store = self.open_bucket(bucket)
        store.write_json(key, history.last_batches(own, self.settings.model_name))
        return {"history_uri": store.uri(key)}

    def resolve_champion(self, event: dict[str, Any]) -> dict[str, str]:
        """Resolve what a train run compares its model with."""
        none_uri = _required(event, "none_uri")
        group = _required(event, "model_package_group_arn")
        found = newest_approved(self.sagemaker, group, only_released=self.settings.only_released)
        if found is None:
            return {"champion_version": "none", "champion_uri": none_uri}
        version, package = found
        champion = artifact_uri(package)
        self.records.check(version, package, uris_of(package))
        return {"champion_version": str(version.number), "champion_uri": champion}

    def resolve_ground_truth(self, event: dict[str, Any]) -> dict[str, str]:
        """Resolve what a quality run judges: the ground truth that it names, or what has waited longest.

        The version is the one that scored, whatever became of it since. Nobody approves its evaluation.json, but
        whoever changes it later is noticed.
        """
        group, uri = _required(event, "model_package_group_arn"), _required(event, "ground_truth_input")
        own = self.open_bucket(self.settings.data_bucket)
        truths = GroundTruths(self.open_bucket, own, self.settings.model_name)
        if is_everything(uri):
            found, more = truths.waiting(uri)
        else:
            found, more = truths.named(uri), 0
        if found is None:
            return dict.fromkeys(OF_GROUND_TRUTH, "none") | {"found": "false", "waiting": "0"}
        # whatever breaks from here on, this run has tried
        truths.note(found, str(event.get("execution_id", "")))
        try:
            evaluation = self._evaluation_of(group, str(found.scored["model_version"]))
        except OF_THE_VERSION as error:
            raise type(error)(f"{error}. Ground truth: {found.ground_truth.uri}") from error
        return {
            "found": "true",
            "waiting": str(more),
            **_of_ground_truth(found),
            "evaluation_uri": evaluation,
        }

    def _evaluation_of(self, group: str, number: str) -> str:
        version, package = find_version(self.sagemaker, group, number, only_approved=False)
        uri = evaluation_uri(package)
        current = look_at(self.open_bucket, [uri])
        refuse_changed(version.number, version.created, {"evaluation": uri}, current, None)
        return uri


# What ResolveGroundTruth answers beside `found` and `waiting`.
OF_GROUND_TRUTH = (
    "ground_truth_uri",
    "ground_truth_digest",
    "batch_uri",
    "batch_digest",
    "predictions_uri",
    "model_version",
    "evaluation_uri",
)


def _of_ground_truth(found: Waiting) -> dict[str, str]:
    return {
        "ground_truth_uri": found.ground_truth.uri,
        "ground_truth_digest": found.ground_truth.digest,
        "batch_uri": found.batch.uri,
        "batch_digest": found.batch.digest,
        "predictions_uri": str(found.scored["predictions_uri"]),
        "model_version": str(found.scored["model_version"]),
    }


def _required(event: dict[str, Any], name: str) -> str:
    value = str(event.get(name, "")).strip()
    if not value:
        raise BadRequest(
            f"the step's input '{name}' is missing: compile the pipeline again with make definitions"
        )
    return value


def resolve(resolver: Resolver, event: dict[str, Any]) -> dict[str, str]:
    """Do what the step asks for.

    Raises
    ------
    BadRequest
        The action is unknown, an input is missing, or an output would be too long.
    """
    actions = {
        "resolve_model": resolver.resolve_model,
        "resolve_champion": resolver.resolve_champion,
        "resolve_ground_truth": resolver.resolve_ground_truth,
    }
    action = str(event.get("action", ""))
    if action not in actions:
        raise BadRequest(f"the step's input 'action' must be one of {', '.join(actions)}, got '{action}'")
    answer = actions[action](event)
    for name, value in answer.items():
        if len(value) > VALUE_LIMIT:
            raise BadRequest(
                f"{name} has {len(value)} characters; SageMaker takes {VALUE_LIMIT}: {shorten(value, 80)}"
            )
    return answer


def handle(event: dict[str, Any], context: object) -> dict[str, str]:
    """Answer a Lambda step."""
    resolver = Resolver(
        Settings.load(), aws.client("sagemaker"), lambda bucket: ObjectStore(aws.client("s3"), bucket)
    )
    try:
        answer = resolve(resolver, event)
    except (
        *OF_THE_VERSION,
        BadVersion,
        BatchNotFound,
        BatchAmbiguous,
        BatchAlreadyScored,
        GroundTruthNotFound,
        BatchNotScored,
        BadRequest,
        aws.Malformed,
    ) as error:
        # the same words with their name in front: all that people see of it is the step's failure reason
        named = type(error)(shorten(f"{type(error).__name__}: {one_line(error)}", VALUE_LIMIT))
        log.warning("the run stops", action=event.get("action"), reason=str(named))
        raise named from None
    log.info("resolved", action=event.get("action"), outcome=answer)
    return answer
