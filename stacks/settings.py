"""The settings of an installation: what a user writes under ``mlops`` in cdk.json, typed and checked.

Every key has a default, so that a fresh clone synthesizes. Another file can stand in for the whole object: the
environment variable ``MLOPS_SETTINGS`` names it (the demo and the tests use that). Reading them needs neither CDK nor
AWS.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast
from zoneinfo import available_timezones

from pipeline_code.definitions import definitions_root, folders, image_regions
from stacks.installation import (
    STAGES,
    Audit,
    DeliveredBy,
    Delivery,
    InstanceTypes,
    Model,
    People,
    RetrainOn,
    Schedule,
    Settings,
    Thresholds,
)
from stacks.network_settings import networks
from stacks.section import Section, SettingsError, suggestion

ROOT = Path(__file__).resolve().parent.parent

MONITORS = ("own", "model-monitor")
RETRAIN_ON = ("drift", "violation", "any_failure")
PREDICTIONS_ON_DRIFT = ("withhold", "deliver")

ACCOUNT = (r"\d{12}", "be a 12-digit account id in quotes")
DELIVERED_BY = ("codepipeline", "github", "jenkins")
REPOSITORY = (r"[\w.-]+/[\w.-]+", "be owner/repository")
# As the subject of GitHub's tokens says it; the ids are in it for repositories made since July 2026.
GITHUB_REPOSITORY = (r"[\w.-]+(@\d+/[\w.-]+@\d+|/[\w.-]+)", "be owner/repository, or owner@id/repository@id")
CONNECTION = (
    r"arn:[a-z-]+:(codeconnections|codestar-connections):[a-z0-9-]+:\d{12}:connection/[0-9a-f-]{36}",
    "be the ARN of a CodeConnections connection",
)
PROVIDER = (
    r"arn:[a-z-]+:iam::\d{12}:oidc-provider/token\.actions\.githubusercontent\.com",
    "be the ARN of the account's OIDC provider for GitHub Actions",
)
EMAIL = (r"[^@\s,]+@[^@\s,]+\.[^@\s.,]+", "be one e-mail address")
PRINCIPAL = r"arn:[a-z-]+:(iam|sts)::\d{12}:(root|(user|role|assumed-role)/[\w+=,.@/-]+)"
SCHEDULE = (
    r"cron\([^()]+\)|rate\(\d+ (minute|hour|day)s?\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)",
    "be an EventBridge Scheduler expression such as cron(0 23 * * ? *) or rate(1 day)",
)


def load(values: object | None = None) -> Settings:
    """Return the checked settings.

    Parameters
    ----------
    values
        The object under ``mlops``. Default: the file that ``MLOPS_SETTINGS`` names, else cdk.json.

    Raises
    ------
    SettingsError
        With one line, for the first mistake.
    """
    return _settings(Section(read() if values is None else values, "mlops"))


def read() -> object:
    """Return the raw settings from the file that ``MLOPS_SETTINGS`` names, else from cdk.json."""
    override = os.environ.get("MLOPS_SETTINGS")
    path = Path(override) if override else ROOT / "cdk.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise SettingsError(f"MLOPS_SETTINGS names '{path}', which doesn't exist") from None
    except OSError as error:
        raise SettingsError(f"the settings in '{path}' can't be read: {error.strerror}") from None
    except RecursionError:
        raise SettingsError(f"{path.name} is nested too deeply to be settings") from None
    except ValueError as error:
        raise SettingsError(f"{path.name} is not valid JSON: {error}") from None
    if override:
        return content
    context = content.get("context", {}) if isinstance(content, dict) else {}
    if "mlops" not in context:
        raise SettingsError(f'cdk.json has no "mlops" under "context"{suggestion("mlops", list(context))}')
    return context["mlops"]


def commit() -> str:
    """Return the commit that is deployed: what a build names, else the clone's head, else ``unknown``."""
    named = os.environ.get("GIT_COMMIT") or os.environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION")
    if named:
        return named
    git = ROOT / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).is_file():
            return (git / name).read_text().strip()
        # git gc moves branches from files of their own into one
        lines = [line.split() for line in (git / "packed-refs").read_text().splitlines()]
    except OSError:
        return "unknown"
    return next((line[0] for line in lines if line[1:] == [name]), "unknown")


def _settings(top: Section) -> Settings:
    accounts = _accounts(top.section("accounts"))
    region = _region(top)
    stages = [stage for stage in STAGES if stage in accounts]
    schedule = _schedule(top.section("schedule"), None)
    thresholds = top.section("thresholds")
    retrain_on = top.choice("retrain_on", "drift", RETRAIN_ON)
    predictions_on_drift = top.choice("predictions_on_drift", "withhold", PREDICTIONS_ON_DRIFT)
    reminder_days = top.whole("reminder_days", 7, low=1, high=30)

    def model(section: Section) -> Model:
        folder = section.text(
            "folder", None, pattern=r"[a-z][a-z0-9_]*", rule="name a folder of pipeline_code/"
        )
        described = _described(section, folder)
        result = Model(
            folder=folder,
            prefix=described["prefix"],
            model_name=described["model_name"],
            model_package_group=described["model_package_group"],
            schedule=_schedule(section.section("schedule"), schedule),
            batch=section.text(
                "batch",
                # Without batch files of its own a model scores all that lies below data/batch-dataset/.
                described["batch_file"],
                pattern=r"[\w./{}-]*",
                rule="be a file or prefix below data/batch-dataset/, such as '{date}/'",
            ),
            thresholds=_thresholds(section.section("thresholds"), thresholds, described),
            retrain_on=cast(RetrainOn, section.choice("retrain_on", retrain_on, RETRAIN_ON)),
            predictions_on_drift=section.choice(
                "predictions_on_drift", predictions_on_drift, PREDICTIONS_ON_DRIFT
            ),
            instance_types=_instance_types(section.section("instance_types"), described),
            reminder_days=section.whole("reminder_days", reminder_days, low=1, high=30),
            retrain_after=_retrain_after(described),
        )
        section.done()
        return result

    models = top.sections("models", model)
    if models is None:
        models = tuple(model(Section({"folder": folder}, f"mlops.models[{folder}]")) for folder in folders())
    _unique(models)
    settings = Settings(
        accounts=accounts,
        region=region,
        people=_people(top.section("people")),
        email=top.optional_text("email", pattern=EMAIL[0], rule=EMAIL[1]),
        networks=networks(top.section("network"), stages),
        monitor=top.choice("monitor", "own", MONITORS),
        alert_topic_name=top.text(
            "alert_topic_name",
            "mammography-model-notification",
            pattern=r"[\w-]{1,200}",
            rule="be a topic name: letters, digits, - and _",
        ),
        models=models,
        delivery=_delivery(top, accounts, region),
        audit=_audit(top.section("audit")),
        throw_away=top.flag("throw_away", False),
        commit=commit(),
    )
    top.done()
    return settings


def _accounts(section: Section) -> Mapping[str, str]:
    placeholders = {
        "registry": "333333333333",
        "dev": "111111111111",
        "staging": None,
        "prod": "222222222222",
    }
    accounts = {
        name: section.text(name, placeholder, pattern=ACCOUNT[0], rule=ACCOUNT[1])
        for name, placeholder in placeholders.items()
        if section.raw(name) is not None or placeholder is not None
    }
    section.done()
    return accounts


def _region(top: Section) -> str:
    region = top.text("region", "us-east-1", pattern=r"[a-z0-9-]+", rule="be a region name such as us-east-1")
    known = image_regions()
    if region not in known:
        raise top.fail(
            "region", f"must be a region that has the XGBoost container{suggestion(region, known)}"
        )
    return region


def _people(section: Section) -> People:
    rule = "ARNs of users, roles or account roots such as arn:aws:iam::123456789012:role/Name"
    people = People(
        approvers=section.texts("approvers", pattern=PRINCIPAL, rule=rule),
        data_scientists=section.texts("data_scientists", pattern=PRINCIPAL, rule=rule),
        operators=section.texts("operators", pattern=PRINCIPAL, rule=rule),
        require_mfa=section.flag("require_mfa", True),
    )
    section.done()
    return people


def _schedule(section: Section, default: Schedule | None) -> Schedule:
    base = default or Schedule("cron(0 23 * * ? *)", "UTC", 0, True)
    expression = section.text("expression", base.expression, pattern=SCHEDULE[0], rule=SCHEDULE[1])
    if expression.startswith("cron(") and len(expression[5:-1].split()) != 6:
        raise section.fail("expression", "must have six cron fields (minute hour day month weekday year)")
    zone = section.text(
        "time_zone", base.time_zone, pattern=r"\S+", rule="be an IANA time zone such as Europe/Berlin"
    )
    if zone not in _zones():
        hint = suggestion(zone, sorted(_zones()))
        raise section.fail("time_zone", f"must be an IANA time zone such as Europe/Berlin{hint}")
    flexible = section.whole("flexible_minutes", base.flexible_minutes, low=0, high=1440)
    enabled = section.flag("enabled", base.enabled)
    section.done()
    return Schedule(expression, zone, flexible, enabled)


@cache
def _zones() -> set[str]:
    return available_timezones()  # reads a folder of hundreds of files


def _thresholds(section: Section, shared: Section, described: dict[str, Any]) -> Thresholds:
    def number(key: str, default: float, low: float, high: float) -> float:
        return section.number(key, shared.number(key, default, low=low, high=high), low=low, high=high)

    thresholds = Thresholds(
        auc=number("auc", described["thresholds"]["auc"], 0.5, 1.0),
        champion_margin=number("champion_margin", described["thresholds"]["champion_margin"], 0.0, 0.5),
        drift=number("drift", described["monitor"]["comparison_threshold"], 0.0, 1.0),
    )
    section.done()
    shared.done()
    return thresholds


def _retrain_after(described: dict[str, Any]) -> tuple[int, int]:
    after = described["monitor"]["retrain_after"]
    return int(after["drifted"]), int(after["of"])


def _instance_types(section: Section, described: dict[str, Any]) -> InstanceTypes:
    rule = "be an instance type such as ml.m5.xlarge"
    types = {
        kind: section.text(
            kind, described["instance_types"][kind], pattern=r"ml\.[a-z0-9-]+\.[a-z0-9]+", rule=rule
        )
        for kind in ("processing", "training", "transform")
    }
    section.done()
    return InstanceTypes(**types)


def _delivery(top: Section, accounts: Mapping[str, str], region: str) -> Delivery | None:
    if top.raw("delivery") is None:
        return None
    section = top.section("delivery")
    by = cast(DeliveredBy, section.choice("by", "codepipeline", DELIVERED_BY))

    def needed(key: str, pattern: tuple[str, str], *systems: str) -> str:
        return section.text(key, None if by in systems else "", pattern=f"({pattern[0]})?", rule=pattern[1])

    delivery = Delivery(
        account=section.text("account", accounts["registry"], pattern=ACCOUNT[0], rule=ACCOUNT[1]),
        by=by,
        repository=needed(
            "repository", GITHUB_REPOSITORY if by == "github" else REPOSITORY, "codepipeline", "github"
        ),
        branch=section.text("branch", "main", pattern=r"[\w./-]+", rule="be a branch name"),
        connection_arn=needed("connection_arn", CONNECTION, "codepipeline"),
        jenkins_principals=section.texts(
            "jenkins_principals",
            pattern=PRINCIPAL,
            rule="ARNs such as arn:aws:iam::123456789012:role/jenkins",
        ),
        oidc_provider_arn=section.optional_text("oidc_provider_arn", pattern=PROVIDER[0], rule=PROVIDER[1]),
        approve_versions=section.flag("approve_versions", False),
    )
    section.done()
    if by == "jenkins" and not delivery.jenkins_principals:
        raise section.fail("jenkins_principals", "must name who may promote, where delivery is by jenkins")
    if delivery.approve_versions and "staging" not in accounts:
        raise section.fail("approve_versions", "needs a staging account: set mlops.accounts.staging")
    if delivery.approve_versions and (by != "codepipeline" or delivery.account != accounts["registry"]):
        raise section.fail(
            "approve_versions",
            "needs delivery by codepipeline in the registry's account, where versions are approved",
        )
    return delivery


def _audit(section: Section) -> Audit:
    audit = Audit(
        data_events=section.flag("data_events", False),
        keep_days=section.whole("keep_days", 365, low=1, high=3653),
    )
    section.done()
    return audit


def _described(section: Section, folder: str) -> dict[str, Any]:
    """Return the compiled model.json of a model's folder."""
    path = definitions_root() / folder / "model.json"
    if not path.is_file():
        known = folders()
        if (definitions_root().parent / folder / "model.yaml").is_file():
            raise SettingsError(
                f"{section.name('folder')}: '{folder}' is not compiled yet; run: make definitions"
            )
        raise section.fail(
            "folder", f"must name a folder of pipeline_code/ with a model.yaml{suggestion(folder, known)}"
        )
    return cast(dict[str, Any], json.loads(path.read_text()))


def _unique(models: tuple[Model, ...]) -> None:
    if not models:
        raise SettingsError("mlops.models must hold at least one model, got []")
    for field in ("folder", "prefix", "model_name", "model_package_group"):
        seen: dict[str, str] = {}
        for model in models:
            value = getattr(model, field)
            if value in seen:
                raise SettingsError(
                    f"mlops.models: '{model.folder}' and '{seen[value]}' have the same {field} '{value}';"
                    " each model needs its own"
                    if model.folder != seen[value]
                    else f"mlops.models names the folder '{model.folder}' twice; remove one"
                )
            seen[value] = model.folder
