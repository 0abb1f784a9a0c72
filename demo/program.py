"""``make demo``: deploy the three stacks to an embedded cloud with the real CDK CLI and drive the whole loop."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import resource
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from demo import denials, report, scenario, summary
from demo.story import DemoError, Story
from demo.world import APPROVER, World
from local_cloud.cloud import LocalCloud, LocalCloudError
from ops import cdk, data
from ops.errors import CommandError
from stacks import settings as app
from stacks.installation import Settings
from stacks.section import SettingsError

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "demo"
MADE_BY_US = "settings.json"
BATCH_PAGE = "drifted-batch.html"
STACKS = ("RegistryStack", "DevStack", "ProdStack")


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return 1 with one line where a step doesn't show what it should."""
    parser = argparse.ArgumentParser(prog="python -m demo")
    parser.add_argument("--output", type=Path, default=OUT, help="folder that is emptied and written to")
    parser.add_argument(
        "--everything",
        action="store_true",
        help="with every option of the settings that the story leaves open: people, a network, a trail",
    )
    asked = parser.parse_args(arguments)
    out: Path = asked.output.resolve()
    shown = out.relative_to(ROOT) if out.is_relative_to(ROOT) else out
    story = Story()
    if out.exists() and any(out.iterdir()) and not (out / MADE_BY_US).exists():
        print(f"demo: --output names '{shown}', which holds other files; name a new folder", file=sys.stderr)
        return 1
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / f".{out.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"demo: another demo is writing to '{shown}'; wait for it, or name another --output",
                file=sys.stderr,
            )
            return 1
        return perform(story, out, str(shown), everything=asked.everything)


def perform(story: Story, out: Path, shown: str, *, everything: bool = False) -> int:
    """Empty the folder, run the demo, write the page and the numbers."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MADE_BY_US).touch()
    print(f"Logs are in {shown}/", flush=True)
    try:
        page = run(story, out, everything=everything)
    except (DemoError, CommandError, SettingsError, LocalCloudError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    (out / "summary.json").write_text(json.dumps(page["summary"], indent=1) + "\n")
    (out / "report.html").write_text(report.render(page))
    (out / BATCH_PAGE).write_text(page["batch_page"])
    print(
        f"\nThe loop ran in {page['summary']['seconds']:.0f} s. Open {shown}/report.html;"
        f" its numbers are in {shown}/summary.json, and what the monitor says of the drifted batch in"
        f" {shown}/{BATCH_PAGE}"
    )
    return 0


def run(story: Story, out: Path, *, everything: bool = False) -> dict[str, Any]:
    """Run every phase and return what the page shows."""
    settings = write_settings(out / MADE_BY_US, everything=everything)
    model = settings.models[0]
    prepared = data.prepare(model, ROOT / "data", say=lambda line: print(f"Data: {line}", flush=True))
    dataset = {"source": prepared.source, "rows": prepared.rows, "sha256": prepared.sha256}
    with LocalCloud.start(work_dir=out / "cloud", accounts=tuple(settings.accounts.values())) as cloud:
        print(f"Embedded cloud at {cloud.endpoint}", flush=True)
        world = World(cloud, settings, model, story, out, person=make_person(cloud, settings))
        with story.phase("Bootstrap three accounts (cdk bootstrap)"):
            bootstrap(world)
        with story.phase("Deploy (cdk deploy RegistryStack DevStack ProdStack)"):
            stacks = deploy(world)
        with story.phase("Upload the data"), story.step("training data and batches to dev and prod"):
            upload(world)
        shown = scenario.play(world)
        with story.phase("Forbidden calls"):
            denied = denials.try_all(world)
            denials.controls(world)
        with (
            story.phase("Count"),
            story.step("one alert a run that failed or found a loss, one retraining", kind="good"),
        ):
            scenario.counted_alerts(world)
            story.check(len(world.executions("prod", "train")) == 1, "exactly one retraining")
        page = summary.collect(
            world, dataset=dataset, stacks=stacks, denied=denied, drift=shown["drift"], judged=shown["judged"]
        )
        page["batch_page"] = shown["page"]
    page["summary"]["peak_memory_mb"] = peak_memory_mb()
    return page


def write_settings(path: Path, *, everything: bool = False) -> Settings:
    """Write the demo's settings: all defaults, one approver, an address for the alerts; or all that can be had.

    Not those of cdk.json: the story is that of the defaults, whatever a user has set for AWS.
    """
    os.environ.pop("MLOPS_SETTINGS", None)
    app.read()  # the CDK CLI reads cdk.json too: a mistake in it is told before anything starts
    accounts = app.load({}).accounts
    registry = accounts["registry"]
    own: dict[str, Any] = {
        "people": {"approvers": [f"arn:aws:iam::{registry}:user/{APPROVER}"]},
        "email": "ml-team@example.com",
        "models": [{"folder": "mammography"}],
    }
    if everything:
        own = with_everything(own, accounts)
    path.write_text(json.dumps(own, indent=1))
    os.environ["MLOPS_SETTINGS"] = str(path)
    return app.load()


def with_everything(own: Mapping[str, Any], accounts: Mapping[str, str]) -> dict[str, Any]:
    """Return the demo's settings with all that adds to what is deployed, and leaves the story as it is."""
    people = {
        **own["people"],
        "data_scientists": [f"arn:aws:iam::{accounts['dev']}:root"],
        "operators": [f"arn:aws:iam::{accounts['prod']}:root"],
    }
    network = {
        "create": True,
        "interface_endpoints": ["ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "sts"],
        "s3_prefix_list": "pl-63a5400a",
    }
    return {**own, "people": people, "network": network, "audit": {"data_events": True, "keep_days": 2192}}


def make_person(cloud: LocalCloud, settings: Settings) -> Any:
    """Create the approver as a user of the registry account and return a session of hers."""
    iam = cloud.session(settings.accounts["registry"], region=settings.region).client("iam")
    iam.create_user(UserName=APPROVER)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": settings.approver_role_arn}
        ],
    }
    iam.put_user_policy(
        UserName=APPROVER, PolicyName="take-the-approver-role", PolicyDocument=json.dumps(policy)
    )
    key = iam.create_access_key(UserName=APPROVER)["AccessKey"]
    return cloud.session(settings.accounts["registry"], settings.region, credentials=key)


def bootstrap(world: World) -> None:
    """Bootstrap the three accounts side by side, each with its own credentials."""
    settings = world.settings
    with (
        world.story.step("three accounts, each trusting the registry account to deploy"),
        ExitStack() as stack,
    ):
        started = []
        for name, account in settings.accounts.items():
            env = cdk.environment(world.cloud.environment(account, settings.region), world.work / MADE_BY_US)
            log = world.work / "logs" / f"bootstrap-{name}.log"
            arguments = [
                "bootstrap",
                f"aws://{account}/{settings.region}",
                "--trust",
                settings.accounts["registry"],
                "--cloudformation-execution-policies",
                f"arn:{settings.partition}:iam::aws:policy/AdministratorAccess",
            ]
            command = stack.enter_context(cdk.Command(arguments, env, log, folder=world.work))
            started.append((name, command))
        for name, command in started:
            command.finish()
            world.story.progress(f"{name} {settings.accounts[name]}")


def deploy(world: World) -> dict[str, str]:
    """Deploy the three stacks with one command and return their states."""
    settings = world.settings
    with world.story.step("the three stacks, with the command that deploys them to AWS"):
        env = cdk.environment(
            world.cloud.environment(settings.accounts["registry"], settings.region),
            world.work / MADE_BY_US,
        )
        cdk.run(
            [
                "deploy",
                *STACKS,
                "--require-approval",
                "never",
                "--concurrency",
                "3",
                "--output",
                str(world.work / "cdk.out"),
            ],
            env,
            world.work / "logs" / "deploy.log",
        )
        states = {}
        for stack, account_name in zip(STACKS, ("registry", "dev", "prod"), strict=True):
            described = world.client(account_name, "cloudformation").describe_stacks(StackName=stack)[
                "Stacks"
            ][0]
            states[stack] = described["StackStatus"]
            world.story.check(states[stack] == "CREATE_COMPLETE", f"{stack} is deployed", states[stack])
            world.story.show(f"{stack}: {states[stack]}")
    return states


def upload(world: World) -> None:
    """Upload what each stage trains on, and the batches."""
    for stage in (world.settings.stage("dev"), world.settings.stage("prod")):
        data.upload(world.session(stage.account), stage, world.model, ROOT / "data", say=lambda line: None)
        world.story.show(f"{stage.name}: {', '.join(data.training_files(world.model, stage))}")


def peak_memory_mb() -> float:
    """Return the largest resident size of this process and of any one process that it started."""
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return round(max(peaks) / unit, 1)
