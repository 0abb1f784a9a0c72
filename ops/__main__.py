"""``python -m ops COMMAND``: what the make targets call; options come as make variables (``STAGE=dev``) or flags."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import botocore.exceptions

from local_cloud import keeper
from ops import (
    adopt,
    bootstrap,
    branches,
    ci_commands,
    data,
    delivery_commands,
    permissions,
    registry,
    review,
    runs,
)
from ops.errors import CommandError
from ops.sessions import assume, in_build, session_for
from stacks import settings as app
from stacks.installation import PIPELINE_KINDS, STACKS, Model, PipelineKind, Settings, Stage
from stacks.section import SettingsError

LONGEST_VALUE = 1000
LOCAL_POLL_SECONDS = 0.3
AWS_POLL_SECONDS = 10.0


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 1 with one line on stderr where the user must do something."""
    options = _parser().parse_args(arguments)
    try:
        _refuse_odd_text(options)
        settings = branches.settings_of(app.load(), options.command, options.branch, options.stage)
        return int(COMMANDS[options.command](settings, options) or 0)
    except (CommandError, SettingsError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        print(f"{options.command}: AWS said: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.command}: {error.filename}: {error.strerror}"[:LONGEST_VALUE], file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{options.command}: interrupted; a started pipeline goes on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops")
    parser.add_argument("command", choices=sorted(COMMANDS))
    for name, text in (
        ("stage", "dev, staging or prod; adopt: registry and delivery too"),
        ("pipeline", "train, inference or quality"),
        (
            "input",
            "batch to score, or whose ground truth to judge: s3:// URI or a name under data/batch-dataset/ or"
            " data/ground-truth/",
        ),
        ("version", "number of a model version; run: newest_approved (default) or newest too"),
        ("model", "folder or name of the model; only needed where there are several"),
        ("branch", "feature branch in dev: its pipelines and versions instead of main's"),
        ("note", "why a version is approved, rejected or released"),
        ("data", "folder of the data files; data/ by default"),
        ("stages", "accounts whose stacks are compared, such as 'registry dev'"),
        ("approval", "pipeline/stage/action of a manual approval that waits meanwhile"),
        ("to", "id of the promotion to go back to; see make promotions"),
        ("assembly", "folder of the synthesized assembly; cdk.out by default"),
    ):
        parser.add_argument(f"--{name}", default=os.environ.get(name.upper()) or None, help=text)
    parser.add_argument("--json", action="store_true", default=os.environ.get("JSON") in ("1", "true"))
    parser.add_argument("--rescore", nargs="?", const="true", default=os.environ.get("RESCORE") or "false")
    return parser


def _refuse_odd_text(options: argparse.Namespace) -> None:
    """Refuse values that no line can repeat: they are quoted in messages, and become parts of paths and names."""
    if options.note:
        options.note = " ".join(options.note.split())
    for name, value in vars(options).items():
        if isinstance(value, str) and (len(value) > LONGEST_VALUE or not value.isprintable()):
            raise CommandError(
                f"{name.upper()} must be at most {LONGEST_VALUE} characters that can be printed, got"
                f" {value[:40]!a}{'...' if len(value) > 40 else ''}"
            )


def _stage(settings: Settings, options: argparse.Namespace) -> Stage:
    return settings.known_stage(options.stage)


def _models(settings: Settings, options: argparse.Namespace) -> tuple[Model, ...]:
    return (settings.model(options.model),) if options.model else settings.models


def _model(settings: Settings, options: argparse.Namespace) -> Model:
    models = _models(settings, options)
    if len(models) > 1:
        choices = " or ".join(f"MODEL={model.folder}" for model in models)
        raise CommandError(f"there are several models; name one: {choices}")
    return models[0]


def _folder(options: argparse.Namespace) -> Path:
    return Path(options.data) if options.data else data.ROOT / "data"


def _data(settings: Settings, options: argparse.Namespace) -> None:
    folder = _folder(options)
    for model in _models(settings, options):
        for path in data.prepare(model, folder, say=say).files:
            say(f"  {folder.name}/{path.name}")


def _upload(settings: Settings, options: argparse.Namespace) -> None:
    stage = _stage(settings, options)
    session = session_for(stage.name, stage.account, stage.region)
    for model in _models(settings, options):
        data.upload(session, stage, model, _folder(options), say=say)


def _run(settings: Settings, options: argparse.Namespace) -> int:
    stage, model = _stage(settings, options), _model(settings, options)
    kind = next((one for one in PIPELINE_KINDS if one == options.pipeline), None)
    if kind is None:
        raise CommandError(f"PIPELINE must be train, inference or quality, got {options.pipeline!r}")
    parameters = {}
    if options.input:
        if kind == "train":
            parameters["InputDataUrl"] = options.input
        elif kind == "inference":
            parameters["transform_input"] = data.batch_uri(stage, model, options.input)
        else:
            parameters["ground_truth_input"] = data.ground_truth_uri(stage, model, options.input)
    if options.version:
        parameters["ModelVersion"] = _version_to_run(kind, options.version)
    if options.rescore not in ("true", "false"):
        raise CommandError(f"RESCORE must be true or false, got {options.rescore!r}")
    if options.rescore == "true" and kind == "quality":
        raise CommandError(
            "RESCORE is for PIPELINE=inference: ground truth that INPUT names is judged again anyway"
        )
    if options.rescore == "true":
        parameters["Rescore"] = "true"
    session = (
        branches.session(settings, options.branch)
        if options.branch
        else session_for(stage.name, stage.account, stage.region)
    )
    sagemaker = session.client("sagemaker")
    name = stage.pipeline_name(model, kind)
    arn = runs.start(sagemaker, name, parameters)
    say(f"{name} in {stage.name} ({stage.account}), execution {arn.rsplit('/', 1)[-1]}")
    local = urlsplit(sagemaker.meta.endpoint_url).hostname in ("127.0.0.1", "localhost")
    outcome = runs.follow(
        sagemaker, arn, say=say, poll_seconds=LOCAL_POLL_SECONDS if local else AWS_POLL_SECONDS
    )
    say(outcome.in_words())
    if outcome.result:
        say(outcome.result)
    return 0 if outcome.status == "Succeeded" else 1


def _version_to_run(kind: PipelineKind, version: str) -> str:
    if kind == "train":
        raise CommandError("VERSION is for PIPELINE=inference: training makes a version of its own")
    if kind == "quality":
        raise CommandError(
            "VERSION is for PIPELINE=inference: ground truth judges the version that scored its batch"
        )
    if version not in ("newest_approved", "newest") and not (version.isascii() and version.isdecimal()):
        raise CommandError(f"VERSION must be a number, newest or newest_approved, got {version!r}")
    return version


def _versions(settings: Settings, options: argparse.Namespace) -> None:
    if options.branch:
        session = branches.session(settings, options.branch)
    else:
        session = session_for("registry", settings.accounts["registry"], settings.region)
    sagemaker = session.client("sagemaker")
    for model in _models(settings, options):
        say(f"{model.model_package_group}:")
        say(registry.table(registry.versions(sagemaker, model.model_package_group)))


def _decide(settings: Settings, options: argparse.Namespace, status: str, role_wanted: str) -> None:
    model = _model(settings, options)
    if not options.version:
        raise CommandError("VERSION is missing; see the numbers with: make versions")
    if options.branch:
        approver = branches.session(settings, options.branch)
    else:
        session = session_for("registry", settings.accounts["registry"], settings.region)
        approver = assume(session, settings.approver_role_arn, settings.region, name=role_wanted)
    note = options.note or f"{status} with make {role_wanted}"
    decided = registry.decide(
        approver.client("sagemaker"), model.model_package_group, options.version, status, note
    )
    say(f"{model.model_package_group} version {decided.version} is {decided.status}")


def _approve(settings: Settings, options: argparse.Namespace) -> None:
    _decide(settings, options, "Approved", "approve")


def _reject(settings: Settings, options: argparse.Namespace) -> None:
    _decide(settings, options, "Rejected", "reject")


def _release(settings: Settings, options: argparse.Namespace) -> None:
    """Release a version to prod: as the build that may, or as an approver."""
    if not settings.delivery or not settings.delivery.approve_versions:
        raise CommandError(
            "mlops.delivery.approve_versions is off in cdk.json, so prod uses approved versions without a release:"
            " make approve"
        )
    model = _model(settings, options)
    if not options.version:
        raise CommandError("VERSION is missing; see the numbers with: make versions")
    if not (options.version.isascii() and options.version.isdecimal()):
        raise CommandError(f"VERSION must be a number, got {options.version!r}")
    session = session_for("registry", settings.accounts["registry"], settings.region)
    who = f"by mlops-versions with commit {settings.commit[:12]}"
    if not in_build():
        session = assume(session, settings.approver_role_arn, settings.region, name="release")
        who = "with make release"
    note = options.note or f"released {who}"
    released = registry.release(
        session.client("sagemaker"), settings.version_arn(model, options.version), note
    )
    words = "is released to prod: its next run may use it" if released else "was released to prod already"
    say(f"{model.model_package_group} version {options.version} {words}")


def _local_profiles(settings: Settings, options: argparse.Namespace) -> None:
    """Print the embedded cloud's options for this installation's accounts; `make local-up` hands them over."""
    profiles = " ".join(f"--profile mlops-{name}={account}" for name, account in settings.accounts.items())
    say(f"--region {settings.region} {profiles}")


def _adopt(settings: Settings, options: argparse.Namespace) -> None:
    stages = {account: STACKS[account] for account in settings.accounts}
    accounts = dict(settings.accounts)
    if settings.delivery:
        stages["delivery"], accounts["delivery"] = "DeliveryStack", settings.delivery.account
    if options.stage and options.stage not in stages:
        raise CommandError(f"STAGE must be one of {', '.join(stages)}, got {options.stage!r}; all by default")
    if settings.throw_away:
        say("the settings say throw_away: destroyed stacks leave nothing, so there is nothing to take up")
        return
    places = [
        adopt.Place(stages[stage], session_for(_profile(settings, stage), accounts[stage], settings.region))
        for stage in ([options.stage] if options.stage else stages)
    ]
    adopt.adopt(places, data.ROOT / "build" / "adopt", say=say)


def _profile(settings: Settings, name: str) -> str:
    """Return whose profile it is: that of the account's first name, where the delivery has no account of its own."""
    if name != "delivery" or settings.delivery is None:
        return name
    same = [one for one, account in settings.accounts.items() if account == settings.delivery.account]
    return same[0] if same else name


def _alerts(settings: Settings, options: argparse.Namespace) -> None:
    cloud = keeper.running()
    if cloud is None:
        raise CommandError("no embedded cloud is running (make local-up); on AWS alerts are mailed")
    if options.stage not in (None, *settings.accounts):
        raise CommandError(f"STAGE must be one of {', '.join(settings.accounts)}, got {options.stage!r}")
    for name in [options.stage] if options.stage else settings.accounts:
        for message in cloud.messages(settings.topic_arn(name)):
            say(f"== {message.subject}\n{message.body}\n")


def _assembly(options: argparse.Namespace) -> Path:
    return Path(options.assembly or data.ROOT / "cdk.out")


def _bootstrap_help(settings: Settings, options: argparse.Namespace) -> None:
    bootstrap.run(settings, _assembly(options), data.ROOT / "build" / "bootstrap", data.ROOT, say=say)


def _review(settings: Settings, options: argparse.Namespace) -> None:
    stage = settings.known_stage(options.stage)
    review.run(settings, stage, _assembly(options), data.ROOT / "build" / "review", say=say)


def _permissions(settings: Settings, options: argparse.Namespace) -> int:
    return permissions.run(settings, options.stages, _assembly(options), options.approval, say=say)


COMMANDS = {
    "alerts": _alerts,
    "adopt": _adopt,
    "local-profiles": _local_profiles,
    "data": _data,
    "upload": _upload,
    "run": _run,
    "versions": _versions,
    "approve": _approve,
    "reject": _reject,
    "permissions": _permissions,
    "release": _release,
    "review": _review,
    "bootstrap-help": _bootstrap_help,
    **delivery_commands.COMMANDS,
    **ci_commands.COMMANDS,
}

if __name__ == "__main__":
    sys.exit(main())
