"""What an installation is made of: its accounts, stages and models, and how a thing of it is described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.permissions.policy import Context

REGION = "us-east-1"
DIGEST = "0123456789abcdef" * 4
RUN = "abcdefghijkl"


@dataclass(frozen=True)
class Model:
    """A model by its names."""

    folder: str
    prefix: str
    name: str
    group: str
    known: bool = True
    job_prefix: str | None = None  # where it isn't the prefix
    of: Model | None = None  # of a branch's: main's, whose data it learns from

    @property
    def jobs(self) -> str:
        """Return what the names of its jobs begin with."""
        return self.prefix if self.job_prefix is None else self.job_prefix


MODELS = (
    Model("mammography", "mammo-severity", "mammography-severity-model", "mammo-severity-model-package"),
    Model("wine", "wine-quality", "wine-quality-model", "wine-quality-model-package"),
    # Decoys: one whose names begin as another's do, one that nobody has heard of.
    Model(
        "mammography2",
        "mammo-severity2",
        "mammography-severity-model2",
        "mammo-severity-model-package2",
        known=False,
    ),
)
STRANGER = "999999999999"
IMAGES_ACCOUNT = "683313688378"  # where AWS keeps the region's images
STAGES = ("dev", "staging", "prod")
FUNCTIONS = {
    "resolver": "{prefix}-{stage}-model-resolver",
    "recorder": "{prefix}-{stage}-run-recorder",
    "provider": "{prefix}-{stage}-pipeline-provider",
    "retrain": "{prefix}-{stage}-retrain",
    "notifier": "mlops-{stage}-pipeline-notifier",
    "cleanup": "{prefix}-{stage}-model-cleanup",  # of branches only
}


@dataclass(frozen=True)
class Installation:
    """Accounts by the names of stages and of the registry, and the models: what is in the settings, and decoys."""

    accounts: Mapping[str, str]
    models: tuple[Model, ...] = MODELS
    branch: Model | None = None  # the model of the branch that is deployed beside main
    shared: frozenset[str] = frozenset()  # stages of which some lie in one account
    variant: str | None = None  # what the intent adds to a group's name for what only this installation has

    def pipeline(self, model: Model, kind: str, stage: str) -> str:
        """Return a pipeline's name."""
        return f"{model.prefix}{f'-{stage}' if stage in self.shared else ''}-{kind}-pipeline"

    def jobs(self, model: Model, stage: str) -> str:
        """Return what names of a model's jobs begin with."""
        return f"{model.jobs}-{stage}" if stage in self.shared else model.jobs

    @property
    def stages_of(self) -> Mapping[Model, tuple[str, ...]]:
        """Return the stages that there are of each model: a branch is in dev only."""
        return {one: STAGES if one.of is None else ("dev",) for one in self.models}

    @property
    def registry(self) -> str:
        """Return the account of the registry, which is the delivery's too."""
        return self.accounts["registry"]


MAIN = Installation(
    {"dev": "111111111111", "prod": "222222222222", "registry": "333333333333", "staging": "444444444444"}
)


def on_branch(model: Model, slug: str, digest: str) -> Model:
    """Return a model as a feature branch has it; the digest is that in the names of its jobs."""
    return Model(
        model.folder,
        f"{model.prefix}--{slug}",
        f"{model.name}--{slug}",
        f"{model.group}--{slug}",
        known=False,
        job_prefix=f"{model.prefix}--{digest}",
        of=model,
    )


BRANCH = "feature/x"
_ON_BRANCH = on_branch(MODELS[0], "feature-x", "21d8b2a8")
# Beside main a branch, with decoys: another branch whose name begins alike, and the branch's other model.
WITH_BRANCH = Installation(
    MAIN.accounts,
    (
        *MODELS,
        _ON_BRANCH,
        on_branch(MODELS[0], "feature-x-2", "fdaa6b34"),
        on_branch(MODELS[1], "feature-x", "33a9e9c7"),
    ),
    _ON_BRANCH,
    variant="beside a branch",
)


# Dev and prod in one account, of one model.
SHARED = Installation(
    {**MAIN.accounts, "prod": MAIN.accounts["dev"]},
    (MODELS[0], *(replace(one, known=False) for one in MODELS[1:])),
    shared=frozenset({"dev", "prod"}),
    variant="in a shared account",
)


@dataclass(frozen=True)
class Thing:
    """A concrete resource that stands for a noun; of no stage or model where all share it."""

    noun: str
    kind: str
    arn: str
    account: str
    stage: str | None = None
    model: Model | None = None
    context: Context = field(default_factory=dict, hash=False)
    key: str | None = None
    sources: tuple[str, ...] = ()
    generous: bool = False  # its own policy admits all of our accounts: only who asks is asked for permission
    opened: bool = False  # one of ours, were it generous: what do the stages' own policies hold them to?

    @property
    def shown(self) -> str:
        """Return it as a person would look for it."""
        prefix = self.context.get("s3:prefix")
        return self.arn if prefix is None else f"{self.arn} with prefix '{prefix[0]}'"
