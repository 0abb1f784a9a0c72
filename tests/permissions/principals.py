"""Who may ask for something: the estate's roles, its people and services, and those who should get nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.permissions.estate import Estate
from tests.permissions.policy import Caller, Statement
from tests.permissions.world import REGION, STAGES, STRANGER, Installation, Model

EVERYTHING = Statement.of({"Effect": "Allow", "Action": "*", "Resource": "*"}, "AdministratorAccess")
JENKINS = "555555555555"
_ARTICLE = {"Train": "a", "Inference": "an", "Quality": "a"}
SERVICES = (
    "sagemaker",
    "lambda",
    "scheduler",
    "events",
    "cloudwatch",
    "codebuild",
    "codepipeline",
    "logs",
    "logging.s3",
    "ec2",
)


@dataclass(frozen=True)
class Principal:
    """A caller with its own policies, and the names that the intent has for it."""

    name: str
    caller: Caller
    identity: tuple[Statement, ...]
    groups: tuple[str, ...]
    stage: str | None = None
    model: Model | None = None
    role: str | None = None  # ARN, where it is a role of the estate
    administrator: bool = False


def principals(estate: Estate) -> list[Principal]:
    """Return everybody."""
    installation = estate.installation
    found = [*_roles(estate), *_outsiders(installation), *_services(), *_of_other_systems(estate)]
    if installation.variant is None:
        return found
    return [
        replace(one, groups=(*one.groups, *(f"{group} {installation.variant}" for group in one.groups)))
        for one in found
    ]


def _roles(estate: Estate) -> Sequence[Principal]:
    found = []
    installation = estate.installation
    for arn, role in estate.roles.items():
        stage, purpose, name = arn.split(":role/mlops/")[1].split("/")
        model = next((one for one in installation.models if name.startswith(f"{one.prefix}-{stage}")), None)
        if stage == "delivery":
            groups: tuple[str, ...] = (name,)
        elif stage == "registry":
            groups = (purpose,) if purpose == "approver" else (f"{stage} {purpose}",)
        elif "--" in name:
            groups = (f"branch {purpose}",)
        else:
            groups = (purpose, f"{purpose} of {stage}")
        known = stage if stage in STAGES else None
        own = Principal(name, role.caller, tuple(role.identity), groups, known, model, arn)
        found.append(own)
        for kind in _ARTICLE if purpose == "provider" else ():
            # CloudFormation takes each pipeline's policy away with the pipeline: each other must do alone.
            gone = [f"{other}ProviderPolicy" for other in _ARTICLE if other != kind]
            part = tuple(one for one in role.identity if not any(policy in one.source for policy in gone))
            alone = (f"{groups[0]} of {_ARTICLE[kind]} {kind.lower()} pipeline",)
            found.append(Principal(f"{name} for {kind.lower()}", role.caller, part, alone, known, model, arn))
        trusted = any(
            arn in values
            for other in estate.roles.values()
            for one in other.trust
            for _, _, values in one.conditions
        )
        if trusted or any(not one.allow and "*" in (one.resources or ()) for one in role.identity):
            # What a Deny of everything is for shows only where something else allows.
            also = (*role.identity, EVERYTHING)
            admitted = ["any role of a stage"] if stage in STAGES else []
            admitted += ["any train role of a stage"] if purpose == "train" else []
            names = (*groups, *admitted, *_powerful(installation, role.caller.account))
            twin = Principal(f"{name} as administrator", role.caller, also, names, known, model, arn, True)
            found.append(twin)
    return found


def _outsiders(installation: Installation) -> Sequence[Principal]:
    found, accounts = [], installation.accounts
    takes_our_roles = Statement.of(
        {
            "Effect": "Allow",
            "Action": "sts:*",
            "Resource": [f"arn:aws:iam::{account}:role/mlops/*/mlops-*" for account in accounts.values()],
        },
        "somebody's own policy",
    )

    def add(
        name: str, account: str, path: str, *groups: str, stage: str | None = None, power: bool = True
    ) -> None:
        caller = Caller(f"arn:aws:iam::{account}:{path}", account)
        identity = (EVERYTHING,) if power else (takes_our_roles,)
        all_groups = (*groups, *(_powerful(installation, account) if power else ()))
        found.append(Principal(name, caller, identity, all_groups, stage, administrator=power))

    for account_name, account in {**accounts, "stranger": STRANGER}.items():
        administrator = f"administrator of {account_name}"
        add(administrator, account, "role/Administrator", administrator)
    for stage in STAGES:
        account = accounts[stage]
        some, train = "any role of a stage", "any train role of a stage"
        add(f"some role of {stage}", account, f"role/mlops/{stage}/other/new", some, stage=stage)
        add(f"some train role of {stage}", account, f"role/mlops/{stage}/train/new", some, train, stage=stage)
        # Paths that begin alike, and those of another stage in this account: the registry admits neither.
        add(f"a look-alike of {stage}", account, f"role/mlops/{stage}er/train/new")
        turn = STAGES.index(stage) + 1
        others = [one for one in (*STAGES[turn:], *STAGES[: turn - 1]) if accounts[one] != account]
        # Where each stage has its account, one of another stage's paths in each is enough.
        for other in others if installation.shared else others[:1]:
            for purpose in ("train", "resolver", "recorder"):
                name = f"a role of {other}'s {purpose} path in {stage}"
                add(name, account, f"role/mlops/{other}/{purpose}/new")
        for purpose in ("resolver", "recorder"):
            names = (some, "any resolver or recorder role of a stage")
            add(
                f"some {purpose} role of {stage}",
                account,
                f"role/mlops/{stage}/{purpose}/new",
                *names,
                stage=stage,
            )
    # Beside the delivery's roles, which the stages' checkers trust by name.
    for number, path in enumerate(("delivery/build", "delivery/other", "other/other"), start=1):
        add(f"a role of the registry's account, {number}", accounts["registry"], f"role/mlops/{path}/new")
    for name, account in accounts.items():
        deploy = f"role/cdk-hnb659fds-deploy-role-{account}-{REGION}"
        # At home it would reach everything by its own policy: only elsewhere that is worth asking.
        add(f"deploy role of {name}", account, deploy, "a bootstrap's deploy role", power=name != "registry")
    for who, account, path in (
        ("the person ada", accounts["dev"], "user/ada"),
        ("the person grace", accounts["prod"], "user/grace"),
        ("the role Reviewers", accounts["registry"], "role/Reviewers"),
        ("a person", accounts["dev"], "user/bob"),
        ("a stranger called ada", STRANGER, "user/ada"),
    ):
        add(who, account, path, who, power=False)
    return found


def _powerful(installation: Installation, account: str) -> tuple[str, ...]:
    names = [name for name, one in installation.accounts.items() if one == account]
    return ("anybody with permissions", *(f"anybody with permissions in {name}" for name in names))


def _services() -> Sequence[Principal]:
    # CloudWatch Logs is the one that has a name in each region.
    hosts = [
        f"{name}.{REGION}.amazonaws.com" if name == "logs" else f"{name}.amazonaws.com" for name in SERVICES
    ]
    return [
        Principal(f"service {name}", Caller(host, "", service=host), (), (f"service {name}",))
        for name, host in zip(SERVICES, hosts, strict=True)
    ]


def _of_other_systems(estate: Estate) -> Sequence[Principal]:
    """Return the jobs of GitHub and the agents of Jenkins where an installation is delivered by them."""
    found = []
    names = {arn.rpartition("/")[2] for arn in estate.roles}
    if "mlops-delivery-github" in names:
        for name, host in (("GitHub", "token.actions.githubusercontent.com"), ("GitLab", "gitlab.com")):
            provider = f"arn:aws:iam::{estate.installation.registry}:oidc-provider/{host}"
            caller = Caller(provider, "", provider=provider)
            found.append(Principal(name, caller, (), (name,)))
    if "mlops-delivery-jenkins" in names:
        for name, path in (
            ("agents of Jenkins", "agents/jenkins"),
            ("others beside Jenkins", "agents/other"),
        ):
            caller = Caller(f"arn:aws:iam::{JENKINS}:role/{path}", JENKINS)
            found.append(Principal(name, caller, (EVERYTHING,), (name,)))
    return found
