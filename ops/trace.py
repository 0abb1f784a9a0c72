"""From a version's number to what made it: commit, code, definition, data, parameters, metrics, approval, use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import botocore.exceptions

from ops.checks_common import keys_below, read
from ops.checks_runs import parameters_of
from ops.errors import CommandError
from pipeline_code import definitions
from stacks.installation import Model, Settings, Stage, StageName

GIVES_SESSION = Callable[[Stage], Any]
# Of a stage's state only the newest: more would take minutes where batches came for years.
_MOST_SCORED = 500
_FILES = ("model", "statistics", "constraints")
# Sessions of the functions and builds that change a version without deciding about it.
_MACHINERY = re.compile(r":assumed-role/mlops-(?:registry-recorder|delivery-[a-z]+)/")
_METRICS = (
    "cv_auc",
    "holdout_auc",
    "gain_over_champion",
    "auc_score_threshold",
    "min_gain_over_champion",
)


@dataclass(frozen=True)
class DataFile:
    """A training file as the run read it."""

    name: str
    rows: int
    sha256: str


@dataclass
class Trace:
    """All that is known of a version; what couldn't be read is empty, and `missing` says why."""

    model: str
    version: int
    arn: str
    created: str
    status: str
    commit: str = "unknown"
    code_uri: str = "unknown"
    code_sha256: str = "unknown"
    definition_sha256: str = "unknown"
    definition_here: str = "unknown"
    stage: str = "unknown"
    execution_arn: str = "unknown"
    data_sha256: str = "unknown"
    data_rows: str = "unknown"
    data_files: list[DataFile] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    champion: str = "unknown"
    decided_by: str = ""
    decided_at: str = ""
    decision_note: str = ""
    approved_files: dict[str, str] = field(default_factory=dict)
    used_for: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """Return it for programs."""
        return json.dumps(asdict(self), indent=1)

    def as_text(self) -> str:
        """Return it for people."""
        decided = f"{self.status} by {self.decided_by or 'unknown'}, {self.decided_at or 'time unknown'}"
        note = f": {self.decision_note}" if self.decision_note else ""
        lines = [
            ("version", f"{self.version} of {self.model}, registered {self.created}"),
            ("status", self.status if self.status == "PendingManualApproval" else f"{decided}{note}"),
            ("commit", self.commit),
            ("code", f"{self.code_uri} (sha256 {self.code_sha256})"),
            ("definition", f"sha256 {self.definition_sha256}: {self.definition_here}"),
            ("trained in", f"{self.stage}, {self.execution_arn}"),
            ("data", f"{self.data_rows} rows, sha256 {self.data_sha256}"),
            *(("", f"{one.name}: {one.rows} rows, sha256 {one.sha256}") for one in self.data_files),
            ("metrics", ", ".join(f"{name} {value}" for name, value in self.metrics.items()) or "none"),
            ("champion", "none: it was the first" if self.champion == "none" else f"version {self.champion}"),
            *_listed("approved", [f"{name}: {value}" for name, value in self.approved_files.items()]),
            *_listed("parameters", [f"{name} = {value}" for name, value in sorted(self.parameters.items())]),
            *_listed("used", [f"{stage}: {text}" for stage, text in self.used_for.items()]),
            *_listed("not known", self.missing),
        ]
        return "\n".join(f"{label:<11} {text}" for label, text in lines)


def _listed(label: str, texts: list[str]) -> list[tuple[str, str]]:
    return [(label if place == 0 else "", text) for place, text in enumerate(texts)]


def trace(settings: Settings, model: Model, version: str, registry: Any, session_in: GIVES_SESSION) -> Trace:
    """Return what made a version.

    Parameters
    ----------
    settings, model
        Whose version.
    version
        Its number.
    registry
        SageMaker client of who may read the central registry.
    session_in
        Returns a session in a stage, or raises `CommandError` where the person has none: then what only that stage
        knows is left out, with a line that says so.

    Raises
    ------
    CommandError
        Where there is no such version.
    """
    package = _describe(settings, model, version, registry)
    known = {str(key): str(value) for key, value in package.get("CustomerMetadataProperties", {}).items()}
    found = Trace(
        model=model.model_package_group,
        version=package["ModelPackageVersion"],
        arn=package["ModelPackageArn"],
        created=_when(package.get("CreationTime")),
        status=package["ModelApprovalStatus"],
        commit=known.get("git_commit", "unknown"),
        code_uri=known.get("code_uri", "unknown"),
        code_sha256=known.get("code_uri", "unknown").rstrip("/").rsplit("/", 1)[-1],
        definition_sha256=known.get("definition_sha256", "unknown"),
        execution_arn=known.get("execution_arn", "unknown"),
        data_sha256=known.get("data_sha256", "unknown"),
        data_rows=known.get("data_rows", "unknown"),
        metrics={name: known[name] for name in _METRICS if name in known},
        champion=known.get("champion_version", "unknown"),
    )
    found.approved_files = {
        name: f"S3 version {known[f'approved_{name}_version_id']}, sha256 {known.get(f'approved_{name}_sha256')}"
        for name in _FILES
        if f"approved_{name}_version_id" in known
    }
    found.definition_here = _compared(settings, model, found.definition_sha256)
    _decided(found, package)
    trained = stage_of(settings, model, found.execution_arn)
    if trained is None:
        found.missing.append(f"the stage: no stage of these settings has the execution {found.execution_arn}")
    else:
        found.stage = trained.name
    for name in settings.stages:
        _look_at_stage(found, settings, settings.stage(name), model, trained, session_in)
    return found


def stage_of(settings: Settings, model: Model, execution_arn: str) -> Stage | None:
    """Return the stage whose train pipeline an execution is of."""
    parts = execution_arn.split(":")
    names: tuple[StageName, ...] = settings.stages
    for name in names:
        stage = settings.stage(name)
        pipeline = stage.pipeline_name(model, "train").lower()
        if parts[4:5] == [stage.account] and parts[-1].startswith(f"pipeline/{pipeline}/"):
            return stage
    return None


def _describe(settings: Settings, model: Model, version: str, registry: Any) -> dict[str, Any]:
    if not (version.isascii() and version.isdecimal()):
        raise CommandError(f"VERSION must be the number of a version, got '{version}'; see: make versions")
    account, group = settings.accounts["registry"], model.model_package_group
    arn = (
        f"arn:{settings.partition}:sagemaker:{settings.region}:{account}:model-package/{group}/{int(version)}"
    )
    try:
        return dict(registry.describe_model_package(ModelPackageName=arn))
    except botocore.exceptions.ClientError as error:
        said = error.response["Error"]
        if said["Code"] in ("AccessDeniedException", "AccessDenied"):
            raise CommandError(f"version {version} of {group} can't be read: {said['Message']}") from None
        raise CommandError(
            f"{group} has no version {version} ({said['Message']}); see: make versions"
        ) from None


def _compared(settings: Settings, model: Model, sha256: str) -> str:
    here = definitions.load(model.folder, settings.variant)
    if sha256 == "unknown":
        return "registered before versions carried it"
    if sha256 == here.train_sha256:
        return f"the one in definitions/{model.folder}/{settings.variant}/train.json of this clone"
    return "not the one of this clone; look at the commit above"


def _decided(found: Trace, package: Mapping[str, Any]) -> None:
    if found.status == "PendingManualApproval":
        return
    by = package.get("LastModifiedBy", {})
    found.decided_by = str(
        by.get("UserProfileName") or by.get("IamIdentity", {}).get("Arn") or by.get("UserProfileArn") or ""
    )
    found.decided_at = _when(package.get("LastModifiedTime"))
    known = package.get("CustomerMetadataProperties", {})
    # What records an approval, or releases a version, changes it too: then the record says who approved it, and when.
    if found.status == "Approved" and known.get("approved_by") and _MACHINERY.search(found.decided_by):
        found.decided_by, found.decided_at = known["approved_by"], known.get("approved_at", "")
    found.decision_note = str(package.get("ApprovalDescription", ""))


def _look_at_stage(
    found: Trace,
    settings: Settings,
    stage: Stage,
    model: Model,
    trained: Stage | None,
    session_in: GIVES_SESSION,
) -> None:
    """Add what only a stage knows: data and parameters where it was trained, and where it scored."""
    trained_here = trained is not None and trained.name == stage.name
    try:
        session = session_in(stage)
    except CommandError as error:
        what = "data files and parameters of its run, and " if trained_here else ""
        found.missing.append(f"{what}what {stage.name} scored with it: {error}")
        return
    s3 = session.client("s3")
    if trained_here:
        _attempt(found, "the parameters of its run", lambda: _parameters(found, session))
        _attempt(found, "the data files of its run", lambda: _data(found, stage, model, s3))
    _attempt(found, f"what {stage.name} scored with it", lambda: _uses(found, stage, model, s3))


def _attempt(found: Trace, what: str, look: Callable[[], None]) -> None:
    try:
        look()
    except botocore.exceptions.ClientError as error:
        found.missing.append(f"{what}: {error.response['Error']['Message']}")


def _parameters(found: Trace, session: Any) -> None:
    found.parameters = parameters_of(session.client("sagemaker"), found.execution_arn)


def _data(found: Trace, stage: Stage, model: Model, s3: Any) -> None:
    home = f"s3://{stage.data_bucket_name}/{model.model_name}/train"
    run = found.parameters.get("RunUri", home)
    uri = f"{run}/{found.execution_arn.rsplit('/', 1)[-1]}/summary/summary.json"
    content = read(s3, uri)
    if content is None:
        found.missing.append(f"the data files of its run: {uri} is not there, or may not be read")
        return
    found.data_files = [
        DataFile(one["name"], one["rows"], one["sha256"]) for one in json.loads(content)["files"]
    ]


def _uses(found: Trace, stage: Stage, model: Model, s3: Any) -> None:
    keys = keys_below(s3, stage.data_bucket_name, f"{model.model_name}/state/scored/")
    batches, rows, last = 0, 0, ""
    for key in list(keys)[:_MOST_SCORED]:
        content = read(s3, f"s3://{stage.data_bucket_name}/{key}")
        scored = {} if content is None else json.loads(content)
        if str(scored.get("model_version")) == str(found.version):
            batches, rows = batches + 1, rows + int(scored.get("rows") or 0)
            last = max(last, str(scored.get("scored_at", "")))
    of = f" of the first {_MOST_SCORED} of {len(keys)}" if len(keys) > _MOST_SCORED else ""
    if batches:
        found.used_for[stage.name] = f"scored {batches} batches{of}, {rows} rows, the last {last}"
    else:
        found.used_for[stage.name] = f"scored no batch{of}"


def _when(moment: Any) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S %Z}".strip()
