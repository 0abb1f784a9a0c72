"""What holds data stays when a stack is destroyed, unless a prop and a context flag both say otherwise."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from constructs import Construct

ALLOW_DESTROY = "cdk-mlops:allow-destroy"


def checked_removal(scope: Construct, removal: RemovalPolicy | None) -> RemovalPolicy:
    """Return the removal policy; ``None`` retains.

    Raises
    ------
    ValueError
        If data would be destroyed without the context flag ``cdk-mlops:allow-destroy``.
    """
    if removal is None:
        return RemovalPolicy.RETAIN
    retaining = (RemovalPolicy.RETAIN, RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE, RemovalPolicy.SNAPSHOT)
    if removal not in retaining and str(scope.node.try_get_context(ALLOW_DESTROY)).lower() != "true":
        raise ValueError(
            f"removal={removal.name} destroys data with the stack; if this environment is thrown away, "
            f"set the context flag {ALLOW_DESTROY} to true as well (cdk deploy -c {ALLOW_DESTROY}=true)"
        )
    return removal
