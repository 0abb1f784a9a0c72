"""Which stacks an installation has: one an account, and the delivery where configured; or a feature branch's."""

from __future__ import annotations

import os
from collections.abc import Callable

import aws_cdk as cdk
from constructs import Construct

from stacks.branch import Branch
from stacks.branch_stack import BranchStack
from stacks.dev_stack import DevStack
from stacks.installation import STACKS, Settings
from stacks.prod_stack import ProdStack
from stacks.registry_stack import RegistryStack
from stacks.staging_stack import StagingStack

StackClass = type[RegistryStack] | type[DevStack] | type[StagingStack] | type[ProdStack]
CLASSES: dict[str, StackClass] = {
    "registry": RegistryStack,
    "dev": DevStack,
    "staging": StagingStack,
    "prod": ProdStack,
}


def compose(app: cdk.App, settings: Settings, *, by_hand: bool = True) -> dict[str, cdk.Stack]:
    """Add the installation's stacks to an app and return them by name.

    Parameters
    ----------
    by_hand
        Whether people may deploy each stack from the assembly. Without it, an installation that CodePipeline delivers
        has its stacks in the pipeline's stages only: its builds would make them twice. Default: they may.

    Notes
    -----
    With the context ``branch`` there is the branch's stack only, so that nothing else can be deployed from a
    branch. Its construct is called as dev's: ``cdk deploy DevStack -c branch=NAME`` selects by that name.
    """
    branch = app.node.try_get_context("branch")
    if branch is not None:
        return {STACKS["dev"]: _branch_stack(app, settings, Branch(branch))}
    build = {account: _builder(account, settings) for account in settings.accounts}
    delivered = settings.delivery is not None and settings.delivery.by == "codepipeline"
    stacks: dict[str, cdk.Stack] = {}
    if by_hand or not delivered:
        stacks = {STACKS[account]: builder(app) for account, builder in build.items()}
    if settings.delivery is not None and settings.delivery.by != "codepipeline":
        from stacks.ci_delivery import CiDeliveryStack

        stacks["DeliveryStack"] = CiDeliveryStack(
            app, "DeliveryStack", settings=settings, delivery=settings.delivery
        )
    elif settings.delivery is not None:
        from stacks.delivery_stack import DeliveryStack  # what it needs of CDK is a tenth of a synthesis

        optional = {"staging": build["staging"]} if "staging" in build else {}
        stacks["DeliveryStack"] = DeliveryStack(
            app,
            "DeliveryStack",
            settings=settings,
            delivery=settings.delivery,
            registry=build["registry"],
            dev=build["dev"],
            prod=build["prod"],
            **optional,
        )
    return stacks


def _branch_stack(app: cdk.App, settings: Settings, branch: Branch) -> cdk.Stack:
    environment = cdk.Environment(account=settings.accounts["dev"], region=settings.region)
    return BranchStack(
        app,
        STACKS["dev"],
        settings=settings,
        branch=branch,
        stack_name=branch.stack_name,
        env=environment,
        tags={"mlops:branch": branch.tag},
    )


def synthesize(settings: Settings) -> None:
    """Write the installation's cloud assembly; in a build of the delivery, what that deploys."""
    app = cdk.App()
    compose(app, settings, by_hand=os.environ.get("MLOPS_BUILD") != "true")
    app.synth()


def _builder(account: str, settings: Settings) -> Callable[[Construct], cdk.Stack]:
    environment = cdk.Environment(account=settings.accounts[account], region=settings.region)
    name = STACKS[account]

    def build(scope: Construct) -> cdk.Stack:
        # The construct's id is the stack's name too, in a direct deployment as in the delivery pipeline.
        return CLASSES[account](scope, name, settings=settings, stack_name=name, env=environment)

    return build
