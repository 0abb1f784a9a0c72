"""Six commits that must not arrive: each is stopped where the real pipeline would stop it, with prod untouched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rehearsal import promotions, settings
from rehearsal.approver import Answer
from rehearsal.errors import check
from rehearsal.estate import KINDS, StageState, state
from rehearsal.following import Ended
from rehearsal.origin import Edit, replace_text
from rehearsal.world import World

STEPS = Path("pipeline_code") / "steps"


@dataclass(frozen=True)
class Case:
    """A commit that must not arrive.

    Attributes
    ----------
    title, message
        What it is, and the commit's message.
    change, edit
        What the commit changes in the settings and in files.
    stops_at
        Stage and action that must fail.
    says
        Words that the one line must hold.
    answers
        What is answered at approvals; all others are approved.
    """

    title: str
    message: str
    stops_at: tuple[str, str]
    says: tuple[str, ...]
    change: Callable[[dict[str, Any]], None] | None = None
    edit: Edit | None = None
    answers: Mapping[str, Answer] | None = None


def untested(folder: Path) -> None:
    """Add a test that fails, to a file that the stand-in of the suite runs."""
    path = folder / "tests" / "steps" / "test_distance.py"
    path.write_text(path.read_text() + "\n\ndef test_a_promise_is_kept() -> None:\n    assert 1 + 1 == 3\n")


def stale(folder: Path) -> None:
    """Change a hyperparameter and forget `make definitions`."""
    replace_text(
        folder / "pipeline_code" / "mammography" / "model.yaml", "  max_depth: 3\n", "  max_depth: 4\n"
    )


def gate_out_of_reach(values: dict[str, Any]) -> None:
    """Demand an AUC that no model of these data has."""
    values["thresholds"] = {"auc": 0.99}


def columns_swapped(folder: Path) -> None:
    """Give the model its first two features in the wrong order, where batches are prepared."""
    replace_text(
        folder / STEPS / "prepare.py",
        """        out.write(f"{row_id},{','.join(cells)}\\n")\n""",
        """        first, second, *others = cells\n"""
        """        out.write(f"{row_id},{','.join([second, first, *others])}\\n")\n""",
    )


def operators_added(values: dict[str, Any]) -> None:
    """Name operators: stages with a schedule get a role for them."""
    arns = [f"arn:aws:iam::{settings.ACCOUNTS['prod']}:user/{settings.OPERATOR}"]
    values["people"] = {**values["people"], "operators": arns}


def operators_last(folder: Path) -> None:
    """Make the operators' role after the pipelines, and change a step's code without changing what it does.

    So a deployment that can't make the role has given all pipelines new code already.
    """
    replace_text(
        folder / "stacks" / "scheduled_stage_stack.py",
        "                role.allow(pipelines.inference)\n",
        "                role.allow(pipelines.inference)\n"
        "                self.node.find_child('OperatorsRole').node.add_dependency(pipelines)\n",
    )
    path = folder / STEPS / "prepare.py"
    path.write_text(path.read_text() + "\n# The same, said in another way.\n")


CASES = (
    Case(
        "A failing unit test",
        "Promise what the code doesn't keep",
        ("Build", "Synth"),
        ("test_a_promise_is_kept",),
        edit=untested,
    ),
    Case(
        "A stale definition",
        "Grow deeper trees",
        ("Build", "Synth"),
        ("model.yaml", "make definitions"),
        edit=stale,
    ),
    Case(
        "A model below the gate",
        "Demand an AUC of 0.99",
        ("RegistryAndDev", "Check"),
        ("ModelRejected", "0.99"),
        change=gate_out_of_reach,
    ),
    Case(
        "Scores that differ in staging",
        "Tidy the preparation of batches",
        ("Staging", "Check"),
        ("score",),
        edit=columns_swapped,
    ),
)
REFUSED = Case(
    "A refused approval",
    "Name operators, whose role comes after its pipelines",
    ("Prod", "PromoteToProd"),
    ("not before Monday",),
    change=operators_added,
    edit=operators_last,
    answers={"PromoteToProd": Answer(False, "refused: not before Monday")},
)
HALF_WAY = replace(
    REFUSED,
    title="A prod deployment that fails half-way",
    stops_at=("Prod", "ProdStack.Deploy"),
    says=("mlops-prod-operator",),
    answers={},
)


def all_cases(world: World) -> None:
    """Try every case, each from the commit that arrived last."""
    good = world.origin.head
    for case in CASES:
        stopped(world, case)
        world.back_to(good)
    ended = stopped(world, REFUSED)
    half_way(world, ended)
    world.back_to(good)


def stopped(world: World, case: Case) -> Ended:
    """Push a commit and see it stopped where it should be, with prod as it was."""
    with world.record.part(case.title, f"{case.message!r} must stop at {'/'.join(case.stops_at)}"):
        before = state(world, "prod")
        world.commit(case.message, change=case.change, edit=case.edit)
        with world.approver.script(case.answers or {}):
            ended = world.deliver()
        shown(world, case, ended)
        untouched(before, state(world, "prod"))
        return ended


def shown(world: World, case: Case, ended: Ended) -> None:
    """See that an execution stopped where a case says, and tell the line."""
    row = ended.failed
    where = (row.stage, row.action) if row else ("", "")
    check(where == case.stops_at, f"the commit is stopped at {'/'.join(case.stops_at)}", ended.line)
    missing = [word for word in case.says if word not in ended.line]
    check(not missing, f"the line says {' and '.join(missing)}", ended.line)
    world.record.stopped(ended.line)


def untouched(before: StageState, after: StageState) -> None:
    """See that a stage is as it was: its stack's last update, its pipelines, their definitions and tags."""
    check(before == after, "prod is untouched", f"{before} before, {after} after")


def half_way(world: World, refused: Ended) -> None:
    """Retry the refused stage, approve, and have its deployment fail: somebody made its role by hand."""
    record, case = world.record, HALF_WAY
    with record.part(
        case.title, "somebody made the operators' role by hand in prod: rolled back, prod works on"
    ):
        before = state(world, "prod")
        with record.step("A person", "By hand") as row:
            role_by_hand(world)
            row.said = "makes the role mlops-prod-operator in prod, past the stacks"
        with world.approver.script({}):
            ended = world.follower().retry(refused)
        shown(world, case, ended)
        after = state(world, "prod")
        check(
            after.stack_status == "UPDATE_ROLLBACK_COMPLETE", "ProdStack was rolled back", after.stack_status
        )
        changed = changed_and_back(world)
        check(len(changed) == len(KINDS), "all pipelines had been changed before it failed", changed)
        check(before.tags == after.tags, "prod has its previous definitions", after.tags)
        record.note(
            f"ProdStack: {after.stack_status}; {' and '.join(changed)} had got new code; definitions, code and"
            " commit of both are as before"
        )
        promotions.prod_scores(world, "prod scores a batch after the rollback")
        alert = delivery_alert(world, ended)
        record.note(f"alert: {alert['subject']}")
        check(
            "previous" in alert["body"],
            "the alert says that prod has its previous definitions",
            alert["body"],
        )


def changed_and_back(world: World) -> list[str]:
    """Return the pipelines that the last update of ProdStack changed before it was rolled back."""
    events = world.client("prod", "cloudformation").describe_stack_events(StackName="ProdStack")[
        "StackEvents"
    ]
    updates: list[str] = []
    for event in reversed(events):  # they come newest first
        status, whole = event["ResourceStatus"], event["LogicalResourceId"] == "ProdStack"
        if whole and status == "UPDATE_IN_PROGRESS":
            updates = []
        if whole and status.startswith("UPDATE_ROLLBACK"):
            break
        if event["ResourceType"] == "Custom::SageMakerPipeline" and status == "UPDATE_COMPLETE":
            updates.append(event["LogicalResourceId"])
    return list(dict.fromkeys(updates))


def role_by_hand(world: World) -> None:
    """Make the role that the commit's ProdStack will want to make."""
    iam = world.client("prod", "iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(
        RoleName="mlops-prod-operator",
        Path="/mlops/prod/operator/",
        AssumeRolePolicyDocument=json.dumps(trust),
    )


def delivery_alert(world: World, ended: Ended) -> dict[str, str]:
    """Return the message that people got about an execution of the delivery that was stopped."""
    topic = f"arn:aws:sns:{settings.REGION}:{settings.ACCOUNTS['registry']}:{settings.PIPELINE}-alerts"

    def look() -> dict[str, str] | None:
        for message in reversed(world.cloud.messages(topic)):
            if ended.execution_id in message.body and "Prod" in f"{message.subject} {message.body}":
                return {"subject": message.subject, "body": message.body}
        return None

    return dict(world.wait_for(f"an alert about the execution {ended.execution_id}", look))
