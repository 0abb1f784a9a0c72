"""Check a stage that was just deployed: by running it.

*dev* trains, and reads what was registered. *staging* lets a schedule score the newest version's own test batch, then
sees what becomes of a batch that drifted. *prod* scores the test batch of the version in use, and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ops import checks_runs as check_runs
from ops import checks_versions as versions
from ops import runs
from ops.assembly import StackAssembly
from ops.checks_common import Access, Check
from ops.checks_deployed import compare
from ops.checks_drift import check_drift
from ops.data import training_prefix
from ops.errors import CommandError
from stacks.installation import Model, Settings, Stage

_METRICS = (
    ("cv_auc", "cv AUC"),
    ("holdout_auc", "hold-out AUC"),
    ("gain_over_champion", "gain over champion"),
)


def check_stage(
    settings: Settings,
    stage: Stage,
    models: Sequence[Model],
    access: Access,
    assembly: StackAssembly,
    *,
    version: str | None = None,
    say: Callable[[str], None],
) -> None:
    """Check a stage, model by model.

    Parameters
    ----------
    settings, stage, models
        What is checked.
    access
        Clients.
    assembly
        What should be deployed.
    version
        The version to try, of the one model. Default: staging tries the newest, prod the one in use. With it the
        check is the version's, not the deployment's: pipelines that aren't the assembly's are told and fail nothing,
        since a newer commit may wait in staging while a version is on its way.
    say
        Gets what a person should know, a line each.

    Raises
    ------
    CheckError
        At the first check that fails.
    """
    if version is not None and stage.name == "dev":
        raise CommandError(
            "VERSION is for STAGE=staging and STAGE=prod: the check of dev makes a version of its own"
        )
    if version is not None and len(models) != 1:
        choices = " or ".join(f"MODEL={model.folder}" for model in models)
        raise CommandError(f"VERSION {version} is of one model, and there are several; name it: {choices}")
    compare(settings, stage, access.sagemaker, assembly, may_differ=version is not None, say=say)
    for model in models:
        check = Check(settings, stage, model, access, say)
        if stage.name == "dev":
            _train(check)
        elif stage.name == "staging":
            _score_and_drift(check, version)
        else:
            _score_in_use(check, version)
    say(f"{stage.name}: all checks passed")


def _train(check: Check) -> None:
    """Train a version and read its metrics."""
    prefix = training_prefix(check.model)
    where = f"s3://{check.bucket}/{prefix}"
    if not any(key != prefix for key in check.keys(prefix.removeprefix(f"{check.home}/"))):
        fix = f"make data{check.only_model}, then make upload STAGE=dev{check.only_model}"
        check.fail(f"training data below {where}", "none", fix)
    pipeline = check.stage.pipeline_name(check.model, "train")
    check.say(f"dev: {pipeline} trains on {where}")
    outcome = check_runs.follow(check, runs.start(check.access.sagemaker, pipeline, {}))
    if outcome.status != "Succeeded":
        check.fail(
            f"{pipeline} to register a version",
            outcome.in_words(),
            "mend what the reason names; nothing was promoted",
        )
    arn = _registered(check, outcome)
    if arn is None:
        check.fail(f"{pipeline} to register a version", "none in its steps", "see its definition")
    found = versions.describe(check, arn)
    measured = found.get("CustomerMetadataProperties", {})
    words = ", ".join(f"{word} {measured[key]}" for key, word in _METRICS if key in measured)
    check.say(
        f"dev: {check.model.model_package_group} version {found['ModelPackageVersion']} is"
        f" {found['ModelApprovalStatus']}: {words}; compared with champion {measured.get('champion_version', '-')}"
    )


def _registered(check: Check, outcome: runs.Outcome) -> str | None:
    """Return the version that an execution registered."""
    for step in runs.steps_of(check.access.sagemaker, outcome.execution_arn):
        arn = step.get("Metadata", {}).get("RegisterModel", {}).get("Arn")
        if arn:
            return str(arn)
    return None


def _score_and_drift(check: Check, version: str | None) -> None:
    """Let a schedule score a version's test batch, the newest's by default; then see a drifted one through."""
    group = check.model.model_package_group
    own = check_runs.own_schedule(check)
    train = f"train one: make run PIPELINE=train STAGE=dev{check.only_model}"
    tried = versions.newest(check) if version is None else versions.named(check, version)
    if tried is None:
        check.fail(f"a version of {group} that isn't rejected", "none", train)
    tested = versions.own_batch(check, tried)
    if tested is None:
        check.fail(f"a test batch with version {tried.number} of {group}", "none that can be read", train)
    check_id = check_runs.new_check_id()
    check.say(f"{check.stage.name}: a schedule scores the test batch of {group} version {tried.number}")
    uri = check_runs.put_batch(check, check_id, versions.CHECK_BATCH, tested.batch)
    given = check_runs.parameters(check, uri, tested.version)
    traces = check_runs.Traces(check)
    outcome = check_runs.start_by_schedule(check, own, check_id, given)
    _scored_as_registered(check, outcome, tested, traces)
    check.say(f"{check.stage.name}: a batch that drifted")
    check_drift(check, check_id, tested)


def _score_in_use(check: Check, version: str | None) -> None:
    """Score the test batch of a version, by default that of the one in use."""
    group = check.model.model_package_group
    own = check_runs.own_schedule(check)
    used = versions.in_use(check) if version is None else versions.named(check, version)
    if used is None:
        check.say(
            f"{check.stage.name}: no version of {group} is approved for it yet, so none can be scored; pipelines and"
            f" the schedule {own.name} are there"
        )
        return
    tested = versions.own_batch(check, used)
    if tested is None:
        check.say(
            f"{check.stage.name}: version {used.number} of {group} was registered without a test batch, so its scores"
            " can't be compared; the next version will have one"
        )
        return
    why = ", which is in use" if version is None else ""
    check.say(f"{check.stage.name}: scores the test batch of {group} version {used.number}{why}")
    uri = check_runs.put_batch(check, check_runs.new_check_id(), versions.CHECK_BATCH, tested.batch)
    traces = check_runs.Traces(check)
    outcome = check_runs.start(check, check_runs.parameters(check, uri, tested.version))
    _scored_as_registered(check, outcome, tested, traces)


def _scored_as_registered(
    check: Check, outcome: runs.Outcome, tested: versions.OwnBatch, traces: check_runs.Traces
) -> None:
    if outcome.status != "Succeeded":
        check.fail(
            f"the test batch of version {tested.version} to be scored",
            outcome.in_words(),
            "mend what the reason names",
        )
    compared = check_runs.compare_scores(check, outcome, tested)
    traces.none_of(outcome)
    check.say(f"{check.stage.name}: {compared}, no trace left")
