"""Policy statements written by hand: CDK's own grants widen to ``Resource: "*"`` across accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

# A statement on "*" carries this in its Sid where the action knows no resource; the policy audit reads it.
NO_RESOURCE = "KnowsNoResource"


@dataclass(frozen=True)
class Statement:
    """One permission: it ends in a role's inline policy or, through a grant, in any principal's policy."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Mapping[str, object]] | None = None
    effect: iam.Effect = iam.Effect.ALLOW

    def as_json(self) -> dict[str, object]:
        """Return it as it stands in a policy document."""
        rendered: dict[str, object] = {
            "Sid": self.sid,
            "Effect": self.effect.value.capitalize(),
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        return rendered | ({} if self.conditions is None else {"Condition": self.conditions})

    def is_said_by(self, other: Statement) -> bool:
        """Whether another statement says as much or more."""
        return (
            (self.effect, self.conditions) == (other.effect, other.conditions)
            and set(self.actions) <= set(other.actions)
            and set(self.resources) <= set(other.resources)
        )


def document(statements: Sequence[Statement]) -> iam.PolicyDocument:
    """Return a policy document with these statements."""
    # In one call: an object a statement would be most of what a synthesis does.
    return iam.PolicyDocument.from_json(
        {"Statement": [statement.as_json() for statement in without_repeats(statements)]}
    )


def without_repeats(statements: Sequence[Statement]) -> list[Statement]:
    """Return the statements but those that another one says, as where artifacts and data lie under one key."""
    kept: list[Statement] = []
    for number, one in enumerate(statements):
        others = [*kept, *statements[number + 1 :]]
        if not any(one != other and one.is_said_by(other) for other in others):
            kept.append(one)
    return kept


def grant(grantee: iam.IGrantable, statements: Sequence[Statement]) -> iam.Grant:
    """Add the statements to the grantee's policy.

    To a role imported with ``mutable=False`` CDK adds nothing, and doesn't say so: grant where that role is made.

    Raises
    ------
    ValueError
        If the grantee has no policy of its own.
    """
    grants = []
    for statement in statements:
        granted = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(statement.actions),
            resource_arns=list(statement.resources),
            conditions=statement.conditions,
        )
        if not granted.success:
            raise ValueError(
                "grantee must have a policy that can be changed here, such as a role or a user; "
                f"got {type(grantee).__name__}"
            )
        grants.append(granted)
    return reduce(lambda first, second: first.combine(second), grants)


@dataclass(frozen=True)
class Place:
    """Where a stack is deployed: what its ARNs are made of."""

    partition: str
    account: str
    region: str


_places: WeakKeyDictionary[Construct, Place] = WeakKeyDictionary()


def place_of(scope: Construct) -> Place:
    """Return where the scope's stack is deployed; asked for once, since each question crosses over to Node."""
    if scope not in _places:
        stack = Stack.of(scope)
        if stack not in _places:
            _places[stack] = Place(stack.partition, stack.account, stack.region)
        _places[scope] = _places[stack]
    return _places[scope]


def arn(
    scope: Construct, service: str, resource: str, *, account: str | None = None, region: str | None = None
) -> str:
    """Return an ARN in the stack's partition; account and region default to the stack's."""
    place = place_of(scope)
    account = place.account if account is None else account
    region = place.region if region is None else region
    return f"arn:{place.partition}:{service}:{region}:{account}:{resource}"


def iam_arn(scope: Construct, resource: str, *, account: str | None = None) -> str:
    """Return an IAM ARN, which has no region."""
    return arn(scope, "iam", resource, account=account, region="")


def deny(sid: str, actions: Sequence[str], resources: Sequence[str] = ("*",)) -> Statement:
    """Return a statement that denies actions, whatever other policies allow. Default: everywhere."""
    return Statement(sid, actions, resources, effect=iam.Effect.DENY)


def list_bucket(
    sid: str, bucket_arn: str, prefixes: Sequence[str], but: Sequence[str] | None = None
) -> Statement:
    """Return the permission to list keys under the given patterns only, and not under those of ``but``."""
    conditions = {"StringLike": {"s3:prefix": list(prefixes)}}
    if but is not None:
        conditions["StringNotLike"] = {"s3:prefix": list(but)}
    return Statement(sid, ["s3:ListBucket"], [bucket_arn], conditions)


def read_objects(sid: str, bucket_arn: str, keys: Sequence[str]) -> Statement:
    """Return the permission to read the objects of the given key patterns."""
    return Statement(sid, ["s3:GetObject"], [f"{bucket_arn}/{key}" for key in keys])


def write_objects(sid: str, bucket_arn: str, keys: Sequence[str], *, in_parts: bool = False) -> Statement:
    """Return the permission to write, but not delete, the objects of the given key patterns.

    With ``in_parts`` also to give up an upload in parts, as large ones are, whose parts would stay and be paid for.
    """
    actions = ["s3:PutObject", *(["s3:AbortMultipartUpload"] if in_parts else [])]
    return Statement(sid, actions, [f"{bucket_arn}/{key}" for key in keys])
