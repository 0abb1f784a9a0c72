"""Why a run had no version to work with, or none that may be used."""

from __future__ import annotations

import re

from pipeline_notifier.facts import Facts
from pipeline_notifier.places import NEWEST_APPROVED, again, make_run
from pipeline_notifier.words import Place, Words, decide, in_registry

# How the functions name a file that was written: see shared.artifacts.in_words.
_FILE = re.compile(r"^s3://([^/\s]+)/(\S+) of version (\d+) is S3 version (\S+), written at ")
_VERSION = re.compile(r"\bversion (\d+)\b")
_SCORED = "must not be used"
# How the resolver names one that is approved only, where prod asks for a release too.
_UNRELEASED = re.compile(r"\bversion (\d+)\b.* waits for its release")


def _unreleased(facts: Facts, place: Place) -> Words | None:
    """The version is approved but not released; None where that is not the reason."""
    named = _UNRELEASED.search(facts.cause.message)
    if named is None:
        return None
    return Words(
        "nothing scored, the model version is not released",
        [f"{facts.cause.word}: {facts.cause.message}"],
        [
            "See how far its release is: the pipeline mlops-versions, or the messages of stage delivery.",
            f"By hand, as an approver{in_registry(place)}: {decide('release', facts, named.group(1))}",
            f"Then score the batch: {again(facts, place.stage)}",
        ],
    )


def no_approved_model(facts: Facts, place: Place) -> Words:
    """There was nothing to score with."""
    if unreleased := _unreleased(facts, place):
        return unreleased
    return Words(
        "nothing scored, no approved model version",
        [f"NoApprovedModel: {facts.cause.message}"],
        [
            f"List the versions: make versions. Approve one{in_registry(place)}: {decide('approve', facts)}",
            f"Without any version: {make_run('train', 'dev', facts.model)}",
            f"Then score the batch: {again(facts, place.stage)}",
        ],
    )


def version_not_found(facts: Facts, place: Place) -> Words:
    """The run asked for a version that there is not."""
    return Words(
        "nothing scored, there is no such model version",
        [f"VersionNotFound: {facts.cause.message}"],
        [
            "List the versions: make versions.",
            f"Score the batch with another: {again(facts, place.stage, VERSION='<number>')}",
            f"Or with the newest approved one: {again(facts, place.stage, VERSION=NEWEST_APPROVED)}",
        ],
    )


def version_not_approved(facts: Facts, place: Place) -> Words:
    """The run asked for a version that may not be used here."""
    if unreleased := _unreleased(facts, place):
        return unreleased
    named = re.match(r"version (\d+) ", facts.cause.message)
    version = named.group(1) if named else "<number>"
    return Words(
        "nothing scored, the model version is not approved",
        [f"VersionNotApproved: {facts.cause.message}"],
        [
            f"If it should be used{in_registry(place)}: {decide('approve', facts, version)}",
            f"Then score the batch: {again(facts, place.stage)}",
            f"Or score it with the newest approved one: {again(facts, place.stage, VERSION=NEWEST_APPROVED)}",
        ],
    )


def approval_not_recorded(facts: Facts, place: Place) -> Words:
    """The version is approved, but nothing says which of its files are."""
    named = _VERSION.search(facts.cause.message)
    version = named.group(1) if named else "<number>"
    return Words(
        f"nothing {_done(facts)}, the approval was not recorded",
        [f"ApprovalNotRecorded: {facts.cause.message}"],
        [
            f"Approve it again{in_registry(place)}: {decide('approve', facts, version)}",
            f"Then: {again(facts, place.stage)}",
            "Versions that were approved before approvals were recorded are recorded within an hour, by themselves.",
            "If it stays so: the log of the function mlops-registry-approval-recorder there says why.",
        ],
    )


def artifact_changed(facts: Facts, place: Place) -> Words:
    """A file of the version is not the one that was registered or approved."""
    message = facts.cause.message
    scored = _SCORED in message
    file, named = _FILE.search(message), _VERSION.search(message)
    version = named.group(1) if named else "<number>"
    todo = []
    if scored:
        todo.append(
            "Do not use the predictions of this run, and have them deleted: they may come from other bytes."
        )
    todo.append(f"Take the version out of use{in_registry(place)}: {decide('reject', facts, version)}")
    todo.append(
        "Find out who wrote the file: CloudTrail's data events, or the access log of the artifacts bucket."
    )
    if file:
        bucket, key, _, written = file.groups()
        todo.append(
            "Or uncover the approved file as an administrator of the registry account, once for each version that came "
            f"later: aws s3api delete-object --profile mlops-registry --bucket {bucket} --key {key} "
            f"--version-id {written}"
        )
    todo.append(f"Then: {again(facts, place.stage)}")
    title = "predictions must not be used" if scored else f"nothing {_done(facts)}"
    return Words(
        f"{title}, a file of version {version} was changed", [f"ModelArtifactChanged: {message}"], todo
    )


def _done(facts: Facts) -> str:
    return {"train": "trained", "quality": "judged"}.get(facts.kind, "scored")
