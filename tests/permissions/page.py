"""Writes docs/permissions.md from what the policies decide: ``python -m tests.permissions.page``."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.compliance.counts import count
from tests.permissions.estates import estate
from tests.permissions.matrix import Matrix, decided
from tests.permissions.principals import Principal
from tests.permissions.wildcards import wildcards
from tests.permissions.world import IMAGES_ACCOUNT, Thing

PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
# What a reviewer asks, and the actions that answer.
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "read": (
        *(
            "s3:GetObject",
            "sagemaker:DescribeModelPackage",
            "sagemaker:DescribePipeline",
            "logs:GetLogEvents",
        ),
        *("codepipeline:GetPipelineExecution", "codepipeline:GetPipelineState", "ecr:BatchGetImage"),
        "scheduler:GetSchedule",
    ),
    "list": ("s3:ListBucket", "s3:ListBucketVersions", "sagemaker:ListModelPackages"),
    "write": ("s3:PutObject", "logs:PutLogEvents", "sqs:SendMessage", "sns:Publish", "events:PutEvents"),
    "decrypt": ("kms:Decrypt",),
    "encrypt": ("kms:GenerateDataKey",),
    "register": ("sagemaker:CreateModelPackage",),
    "update": ("sagemaker:UpdateModelPackage",),
    "use": (
        *(
            "lambda:InvokeFunction",
            "iam:PassRole",
            "sts:AssumeRole",
            "sagemaker:CreateModel",
            "kms:CreateGrant",
        ),
        *("sagemaker:StartPipelineExecution", "codepipeline:StartPipelineExecution", "codebuild:StartBuild"),
        *("sagemaker:CreateTrainingJob", "sagemaker:CreateProcessingJob", "sagemaker:CreateTransformJob"),
        *("ec2:CreateNetworkInterface", "codeconnections:UseConnection"),
    ),
    "confirm": ("codepipeline:PutApprovalResult",),
    "change": (
        *(
            "sagemaker:CreatePipeline",
            "sagemaker:UpdatePipeline",
            "scheduler:CreateSchedule",
            "kms:PutKeyPolicy",
        ),
        *("s3:PutBucketPolicy", "sagemaker:PutModelPackageGroupPolicy", "lambda:UpdateFunctionCode"),
        *("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "codepipeline:UpdatePipeline"),
    ),
    "delete": (
        *(
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "sagemaker:DeleteModelPackage",
            "sagemaker:DeletePipeline",
        ),
        *("kms:ScheduleKeyDeletion", "s3:DeleteBucket", "iam:DeleteRole", "logs:DeleteLogStream"),
        *("sagemaker:DeleteModelPackageGroup", "scheduler:DeleteSchedule"),
    ),
}
_TITLES = {
    "key": "Keys",
    "object": "Objects",
    "version": "Model versions",
    "group": "Package groups",
    "pipeline": "Pipelines",
    "role": "Roles",
    "function": "Functions",
    "topic": "Topics",
    "queue": "Queues",
    "schedule": "Schedules",
    "bus": "Event buses",
    "delivery": "Delivery pipelines",
    "approval": "Approvals of the delivery",
    "project": "Builds",
}
Found = dict[tuple[str, str], dict[str, set[str]]]  # kind and noun -> question -> who


def _label(principal: Principal, thing: Thing) -> str:
    name = principal.groups[0]
    if principal.stage and thing.stage and principal.stage != thing.stage:
        name += " of other stages"
    return name


def _answers(matrix: Matrix) -> Iterator[tuple[Principal, Thing, str, str]]:
    asked = {action: question for question, actions in QUESTIONS.items() for action in actions}
    people = [
        one
        for one in matrix.everybody
        if not one.administrator and not one.groups[0].startswith("provider of")
    ]
    things = [
        one
        for one in matrix.distinct
        if not one.opened and not one.generous and (one.model is None or one.model.known)
    ]
    for cell in matrix.cells(people, things, lambda *which: which[1] in asked and matrix.matters(*which)):
        if decided(cell, *matrix.statements(cell)):
            yield cell.principal, cell.thing, asked[cell.action], cell.situation


def page(matrix: Matrix) -> str:
    """Return the page."""
    found: Found = defaultdict(lambda: defaultdict(set))
    paths: dict[tuple[str, str], set[str]] = defaultdict(set)
    approving, registering = set(), set()
    accounts = {account: name for name, account in matrix.estate.installation.accounts.items()}
    accounts[IMAGES_ACCOUNT] = "AWS's images"
    for thing in matrix.distinct:
        if not thing.opened and not thing.generous and thing.kind in _TITLES and not _nobodys(thing.noun):
            found[thing.kind, thing.noun] = defaultdict(set)  # that nobody may do anything is an answer too
    for who, thing, question, situation in _answers(matrix):
        if not _nobodys(thing.noun):
            found[thing.kind, thing.noun][question].add(_label(who, thing))
        if situation == "as approved":
            approving.add(_label(who, thing))
        if question == "register":
            registering.add(_label(who, thing))
        home = accounts.get(who.caller.account)
        there = accounts.get(thing.account)
        if home and there and home != there:
            paths[home, there].add(f"{who.groups[0]}: {question} {thing.noun}")
    return "\n".join(
        [*_head(matrix, found, approving, registering), *_tables(found), *_crossing(paths), *_stars(matrix)]
    )


def _nobodys(noun: str) -> bool:
    return noun.startswith(
        ("other ", "open role", "something like", "what nobody", "contested", "all of the", "a stranger")
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nobody"


def _head(matrix: Matrix, found: Found, approving: set[str], registering: set[str]) -> Iterator[str]:
    key = found["key", "artifacts key"]
    statements = [one for role in matrix.estate.roles.values() for one in role.identity]
    allowing = [one for one in statements if one.allow]
    starred = [action for one in statements for action in one.actions or () if action.endswith(":*")]
    yield "# Who may do what"
    yield ""
    yield (
        "Generated by `make permissions-page` from the templates of an installation with two models, three stages and"
        " the delivery: every line is what the policies decide together, not what one of them says. A test fails"
        " until a change is generated anew. What is meant stands in `tests/permissions/intent.yaml`; that the two"
        " agree, cell by cell, and that no policy can be changed unseen is tested there. What can be reached by whoever"
        " has stolen one of them, and what can't, is the [threat model](threat-model.md)."
    )
    yield ""
    yield "Names are those of roles' purposes; each reaches things of its own model and stage only, unless it says so."
    yield "Administrators of an account may do there what no denial forbids, and are left out."
    yield ""
    yield f"- **Who can approve a model?** {_names(approving)}."
    yield f"- **Who can register one?** {_names(registering)}; only as waiting for approval."
    models = found["object", "artifacts"]
    yield f"- **Who can read models?** {_names(models['read'])}."
    yield f"- **Who can write models?** {_names(models['write'])}, below the prefix of its own stage."
    yield f"- **Who can decrypt with the artifacts key?** {_names(key['decrypt'])}."
    deleting = {
        name
        for (kind, _), answers in found.items()
        if kind in ("object", "version")
        for name in answers["delete"]
    }
    yield f"- **Who can delete data, models or versions?** {_names(deleting)}."
    changing = {
        name
        for (kind, _), one in found.items()
        if kind in ("key", "role", "function")
        for name in one["change"]
    }
    yield f"- **Who can change a policy, a role or a function?** {_names(changing)}: deployments do."
    yield ""
    yield "| in the templates | here | the largest peer | the blog |"
    yield "|---|---|---|---|"
    yield f"| statements that allow, in roles | {len(allowing)} in {len(matrix.estate.roles)} roles | 878 | |"
    yield f"| `service:*` in roles | {len(starred)} | 30 | |"
    managed = count({"Resources": stack.resources} for stack in matrix.estate.stacks).managed_policies
    yield f"| policies of AWS, FullAccess and others | {managed} | 14 FullAccess | 17 FullAccess |"
    yield ""


def _tables(found: Found) -> Iterator[str]:
    for kind, title in _TITLES.items():
        yield f"## {title}"
        yield ""
        rows = sorted((noun, answers) for (one, noun), answers in found.items() if one == kind)
        for noun, answers in rows:
            said = [
                f"{question}: {_names(answers[question])}" for question in QUESTIONS if answers.get(question)
            ]
            yield f"- **{noun}**: {'; '.join(said) or 'nobody'}"
        yield ""


def _crossing(paths: Mapping[tuple[str, str], set[str]]) -> Iterator[str]:
    yield "## Paths between accounts"
    yield ""
    yield "Across accounts both sides must allow; nothing else crosses."
    yield ""
    yield "```mermaid"
    yield "flowchart LR"
    for home, there in sorted(paths):
        who = sorted({line.split(":")[0] for line in paths[home, there]})
        yield f'  {_node(home)} -->|"{", ".join(who)}"| {_node(there)}'
    yield "```"
    yield ""
    for (home, there), lines in sorted(paths.items()):
        by_who: dict[str, list[str]] = defaultdict(list)
        for line in sorted(lines):
            name, _, what = line.partition(": ")
            by_who[name].append(what)
        yield f"**{home} to {there}**"
        yield ""
        for name, whats in sorted(by_who.items()):
            yield f"- {name}: {', '.join(whats)}"
        yield ""


def _node(name: str) -> str:
    return f'{name.partition(" ")[0].strip("s").replace(chr(39), "").lower()}["{name}"]'


def _stars(matrix: Matrix) -> Iterator[str]:
    yield "## Wildcards"
    yield ""
    yield "| where | how often | why | documentation |"
    yield "|---|---|---|---|"
    for name, often, reason, link in wildcards(matrix.estate):
        yield f"| `{name}` | {often} | {reason} | [link]({link}) |"
    yield ""


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(Matrix(estate())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
