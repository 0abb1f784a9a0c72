"""Which stacks an installation has: one an account, and the delivery pipeline where it is configured."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from constructs import Construct

from stacks.dev_stack import DevStack
from stacks.installation import Settings
from stacks.prod_stack import ProdStack
from stacks.registry_stack import RegistryStack

# The construct's id is the stack's name too, in a direct deployment as in the delivery pipeline.
ACCOUNTS = {"RegistryStack": "registry", "DevStack": "dev", "ProdStack": "prod"}


def compose(app: cdk.App, settings: Settings) -> dict[str, cdk.Stack]:
    """Add the installation's stacks to an app and return them by name."""
    build = {
        name: _builder(name, stack_class, settings)
        for name, stack_class in (
            ("RegistryStack", RegistryStack),
            ("DevStack", DevStack),
            ("ProdStack", ProdStack),
        )
    }
    stacks: dict[str, cdk.Stack] = {name: builder(app) for name, builder in build.items()}
    if settings.delivery is not None:
        from stacks.delivery_stack import DeliveryStack  # what it needs of CDK is a tenth of a synthesis

        stacks["DeliveryStack"] = DeliveryStack(
            app,
            "DeliveryStack",
            settings=settings,
            delivery=settings.delivery,
            registry=build["RegistryStack"],
            dev=build["DevStack"],
            prod=build["ProdStack"],
        )
    return stacks


def synthesize(settings: Settings) -> None:
    """Write the installation's cloud assembly."""
    app = cdk.App()
    compose(app, settings)
    app.synth()


def _builder(
    name: str, stack_class: type[RegistryStack] | type[DevStack] | type[ProdStack], settings: Settings
) -> Callable[[Construct], cdk.Stack]:
    environment = cdk.Environment(account=settings.accounts[ACCOUNTS[name]], region=settings.region)

    def build(scope: Construct) -> cdk.Stack:
        return stack_class(scope, name, settings=settings, stack_name=name, env=environment)

    return build
