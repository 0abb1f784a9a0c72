"""Our evaluator and an independent one agree on random policies: same account and across, every operator we use."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from tests.permissions.evaluator import Request, Target, decide, statements
from tests.permissions.judge import judged
from tests.permissions.policy import Caller

CASES = 12_000
HERE, THERE = "111111111111", "222222222222"
CALLERS = [
    Caller(f"arn:aws:iam::{HERE}:role/mlops/dev/train/a-dev-train", HERE),
    Caller(f"arn:aws:iam::{HERE}:role/mlops/dev/inference/a-dev-inference", HERE),
    Caller(f"arn:aws:iam::{HERE}:user/ada", HERE),
    Caller("events.amazonaws.com", "", service="events.amazonaws.com"),
]
# action, resources, keys that the service sets for it with values to draw from
CALLS: list[tuple[str, list[str], dict[str, list[str]]]] = [
    ("s3:GetObject", ["arn:aws:s3:::data/a/x", "arn:aws:s3:::data/b/x", "arn:aws:s3:::other/a/x"], {}),
    ("s3:PutObject", ["arn:aws:s3:::data/a/x", "arn:aws:s3:::data/b/x"], {}),
    ("s3:ListBucket", ["arn:aws:s3:::data", "arn:aws:s3:::other"], {"s3:prefix": ["a/", "a/b", "b/", ""]}),
    ("kms:Decrypt", [f"arn:aws:kms:us-east-1:{HERE}:key/1", f"arn:aws:kms:us-east-1:{THERE}:key/2"],
     {"kms:ViaService": ["s3.us-east-1.amazonaws.com", "sqs.us-east-1.amazonaws.com"]}),
    ("sns:Publish", [f"arn:aws:sns:us-east-1:{HERE}:t", f"arn:aws:sns:us-east-1:{THERE}:t"], {}),
    ("sqs:SendMessage", [f"arn:aws:sqs:us-east-1:{HERE}:q", f"arn:aws:sqs:us-east-1:{THERE}:q"], {}),
    ("lambda:InvokeFunction", [f"arn:aws:lambda:us-east-1:{HERE}:function:f"], {}),
    ("iam:PassRole", [f"arn:aws:iam::{HERE}:role/mlops/dev/train/a-dev-train"],
     {"iam:PassedToService": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]}),
    ("sts:AssumeRole", [f"arn:aws:iam::{HERE}:role/r", f"arn:aws:iam::{THERE}:role/r"], {}),
]  # fmt: skip
ANYWHERE = {
    "aws:SecureTransport": ["true", "false"],
    "aws:SourceAccount": [HERE, THERE],
    "aws:SourceArn": [
        f"arn:aws:sagemaker:us-east-1:{HERE}:pipeline/p",
        f"arn:aws:events:us-east-1:{HERE}:rule/r",
    ],
    "aws:PrincipalTag/model": ["a", "b"],
}
RESOURCE_POLICY = ("s3:", "kms:", "sns:", "sqs:", "lambda:", "sts:")


class World:
    """Draws policies and requests so that about half of what is drawn hits."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, options: list[str], most: int = 2) -> list[str]:
        return self.random.sample(options, self.random.randint(1, min(most, len(options))))

    def action(self, wanted: str) -> str:
        service = wanted.split(":")[0]
        other = self.random.choice([call[0] for call in CALLS])
        return self.random.choice(
            [wanted, wanted, wanted.lower(), f"{service}:*", f"{wanted[:-2]}*", "*", other]
        )

    def resource(self, wanted: str) -> str:
        head = ":".join(wanted.split(":", 5)[:5])
        cut = wanted[
            : self.random.randint(len(head) + 1, len(wanted))
        ]  # all six parts: we write no shorter ARNs
        tagged = wanted.replace("/a/", "/${aws:PrincipalTag/model}/")
        options = [wanted, wanted, f"{cut}*", f"{wanted[:-1]}?", "*", f"{head}:*", tagged, f"{wanted}x"]
        return self.random.choice([*options, f"arn:aws:*:*:*{wanted.removeprefix(head)}"])

    def condition(self, keys: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
        block: dict[str, dict[str, Any]] = {}
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            key = self.random.choice(list(keys))
            values = keys[key]
            arns = values[0].startswith("arn:")
            operators = (
                ["ArnLike", "ArnEquals", "ArnNotLike"]
                if arns
                else ["StringEquals", "StringLike", "StringNotEquals"]
            )
            operators += ["StringNotLike", "StringEqualsIgnoreCase"] if not arns else ["StringLike"]
            operators += ["Bool"] * 2 if values[0] in ("true", "false") else []
            operator = self.random.choice(operators) + self.random.choice(["", "", "", "IfExists"])
            wanted = self.some(values)
            if operator.startswith(("StringLike", "ArnLike")) and self.random.random() < 0.5:
                wanted = [f"{one[: len(one) - 2]}*" for one in wanted]
            if self.random.random() < 0.1:
                operator, wanted = "Null", [self.random.choice(["true", "false"])]
            block.setdefault(operator, {})[key] = (
                wanted if len(wanted) > 1 or self.random.random() < 0.5 else wanted[0]
            )
        return block

    def statement(self, action: str, resource: str, keys: dict[str, list[str]]) -> dict[str, Any]:
        found: dict[str, Any] = {"Effect": "Deny" if self.random.random() < 0.12 else "Allow"}
        found["NotAction" if self.random.random() < 0.05 else "Action"] = [self.action(action)]
        found["NotResource" if self.random.random() < 0.05 else "Resource"] = [
            self.resource(resource) for _ in range(self.random.choice([1, 1, 2]))
        ]
        if condition := self.condition(keys):
            found["Condition"] = condition
        return found

    def principal(self, caller: Caller) -> object:
        if caller.service:
            named: list[object] = [{"Service": caller.service}] * 3
            return self.random.choice([*named, {"Service": "lambda.amazonaws.com"}, {"AWS": "*"}, "*"])
        root = f"arn:aws:iam::{caller.account}:root"
        options = [
            caller.arn,
            root,
            caller.account,
            f"arn:aws:iam::{THERE}:root",
            CALLERS[1].arn,
            [root, CALLERS[0].arn],
        ]
        return self.random.choice([*({"AWS": one} for one in options), {"AWS": "*"}, "*"])

    def case(self) -> tuple[dict[str, Any], Request, Target, dict[str, Any]]:
        caller = self.random.choice([*CALLERS[:3], *CALLERS])
        action, resources, own = self.random.choice(
            CALLS if caller.service is None else CALLS[:1] + CALLS[4:7]
        )
        resource = self.random.choice(resources)
        account = resource.split(":")[4] or self.random.choice([HERE, THERE])
        keys = {**ANYWHERE, "aws:PrincipalArn": [one.arn for one in CALLERS[:3]], **own}
        context = {
            key: self.random.choice(values)
            for key, values in {**ANYWHERE, **own}.items()
            if self.random.random() < 0.7
        }
        if caller.service is None:
            context["aws:PrincipalArn"] = caller.arn
        else:
            context.pop("aws:PrincipalTag/model", None)
        identity = {
            "Version": "2012-10-17",
            "Statement": [
                self.statement(action, resource, keys) for _ in range(self.random.choice([1, 1, 2, 3]))
            ],
        }
        policy: dict[str, Any] | None = None
        if action.startswith(RESOURCE_POLICY) and (
            self.random.random() < 0.75 or action.startswith(("kms:", "sts:"))
        ):
            listed = []
            for _ in range(self.random.choice([1, 1, 2, 3])):
                one = self.statement(action, resource, keys) | {"Principal": self.principal(caller)}
                if action.startswith("sts:"):
                    one = {key: value for key, value in one.items() if not key.endswith("Resource")}
                listed.append(one)
            policy = {"Version": "2012-10-17", "Statement": listed}
        simulation = {
            "request": {
                "principal": caller.arn,
                "action": action,
                "resource": {"resource": resource, "accountId": account},
                "contextVariables": context,
            },
            "identityPolicies": [] if caller.service else [{"name": "own", "policy": identity}],
            **({"resourcePolicy": policy} if policy else {}),
        }
        request = Request(caller, action, resource, {key.lower(): (value,) for key, value in context.items()})
        target = Target(account, statements({"resource": policy}) if policy else None)
        return simulation, request, target, identity


def test_both_agree_on_thousands_of_random_cases() -> None:
    world = World(20261121)
    cases = [world.case() for _ in range(CASES)]
    ours = [
        decide(request, [] if request.caller.service else statements({"own": identity}), target)
        for _, request, target, identity in cases
    ]
    theirs = judged(simulation for simulation, *_ in cases)
    wrong = [
        (simulation, mine, other)
        for (simulation, *_), mine, other in zip(cases, ours, theirs, strict=True)
        if mine.allowed != other
    ]
    assert not wrong, f"{len(wrong)} of {CASES} differ; the first: {wrong[0]}"
    counted = Counter(decision.why for decision in ours)
    # The cases are worth something only if every outcome is common among them.
    assert min(counted[why] for why in ("allowed", "denied", "identity", "resource")) > CASES / 50, counted
