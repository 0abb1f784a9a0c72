"""What widens in a role's policy, and what doesn't."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ops.iam_templates import DENY, READ, grants

A, B = "arn:aws:s3:::data/a/*", "arn:aws:s3:::data/b/*"


def allow(action: Any = "s3:GetObject", resource: Any = A, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def when(operator: str, values: Any, key: str = "aws:SourceAccount") -> dict[str, Any]:
    return allow(Condition={operator: {key: values}})


def both(operator: str, values: Any, other: Any) -> dict[str, Any]:
    return allow(Condition={operator: {"aws:SourceAccount": values}, **other})


FILES = "arn:aws:s3:::cdk-hnb659fds-assets-111111111111-us-east-1"


def file(digit: str) -> str:
    return f"{FILES}/{digit * 64}.zip"


SAME: dict[str, tuple[list[Any], list[Any]]] = {
    "nothing changed": ([READ], [READ]),
    "the sid changed": ([READ | {"Sid": "Old"}], [READ | {"Sid": "New"}]),
    "statements were reordered": ([allow(), allow("s3:PutObject")], [allow("s3:PutObject"), allow()]),
    "a statement was split": (
        [allow(["s3:GetObject", "s3:PutObject"], [A, B])],
        [allow("s3:GetObject", [A, B]), allow("s3:PutObject", A), allow("s3:PutObject", B)],
    ),
    "statements were merged": (
        [allow("s3:GetObject"), allow("s3:PutObject")],
        [allow(["s3:GetObject", "s3:PutObject"])],
    ),
    "an action is written in another case": ([allow("s3:GetObject")], [allow("S3:getobject")]),
    "another published file is read": ([allow(resource=file("a"))], [allow(resource=file("b"))]),
    "a statement went": ([allow(), allow("s3:PutObject")], [allow()]),
    "all went": ([READ], []),
    "an action was within a wildcard": ([allow("s3:Get*")], [allow(["s3:GetObject", "s3:GetObjectTagging"])]),
    "an action was within all": ([allow("*")], [allow("s3:*")]),
    "a single character was within a pattern": ([allow("s3:Get?bject")], [allow("s3:GetObject")]),
    "a resource was within a prefix": ([allow(resource=A)], [allow(resource="arn:aws:s3:::data/a/b/*")]),
    "a resource was within all": ([allow(resource="*")], [allow(resource=[A, B])]),
    "an action was within NotAction": (
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": A}],
        [allow("s3:GetObject")],
    ),
    "NotAction excludes more": (
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": A}],
        [{"Effect": "Allow", "NotAction": ["iam:*", "kms:*"], "Resource": A}],
    ),
    "a resource was within NotResource": (
        [{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": B}],
        [allow()],
    ),
    "a condition came": ([allow()], [when("StringEquals", "1")]),
    "a condition has fewer values": ([when("StringEquals", ["1", "2"])], [when("StringEquals", "1")]),
    "a condition's key is written in another case": (
        [when("StringEquals", "1")],
        [when("StringEquals", "1", key="AWS:sourceaccount")],
    ),
    "a value was within a pattern": ([when("StringLike", "a*")], [when("StringLike", ["ab*", "ac"])]),
    "a value is exact where a pattern was": ([when("StringLike", "a*")], [when("StringEquals", "ab")]),
    "a pattern without wildcards became exact": ([when("StringEquals", "a")], [when("StringLike", "a")]),
    "a negated condition excludes more": (
        [when("StringNotEquals", "1")],
        [when("StringNotEquals", ["1", "2"])],
    ),
    "a condition is no longer met without its key": (
        [when("StringEqualsIfExists", "1")],
        [when("StringEquals", "1")],
    ),
    "ArnEquals became ArnLike": (
        [when("ArnEquals", "arn:aws:iam::1:role/a/*")],
        [when("ArnLike", "arn:aws:iam::1:role/a/b")],
    ),
    "a flag is written as text": ([when("Bool", True)], [when("Bool", "true")]),
    "a second condition came": (
        [when("StringEquals", "1")],
        [both("StringEquals", "1", {"Bool": {"aws:SecureTransport": "true"}})],
    ),
    "a policy variable stayed": (
        [allow(resource="arn:aws:s3:::data/${aws:username}/*")],
        [allow(resource="arn:aws:s3:::data/${aws:username}/*")],
    ),
    "a policy variable is within all": (
        [allow(resource="arn:aws:s3:::data/*")],
        [allow(resource="arn:aws:s3:::data/${aws:username}/*")],
    ),
    "a denial came": ([READ], [READ, DENY]),
    "a denial became wider": ([READ, DENY | {"Action": "s3:GetObject"}], [READ, DENY]),
    "a denial's condition went": ([READ, DENY], [READ, {**DENY, "Condition": {}}]),
    "a denial was split": (
        [READ, {"Effect": "Deny", "Action": ["s3:A", "s3:B"], "Resource": "*"}],
        [
            READ,
            {"Effect": "Deny", "Action": "s3:B", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:A", "Resource": "*"},
        ],
    ),
}

WIDER: dict[str, tuple[list[Any], list[Any], str]] = {
    "all published files are read": (
        [allow(resource=file("a"))],
        [allow(resource=f"{FILES}/*")],
        f"may now do s3:GetObject on {FILES}/*",
    ),
    "another published file is written": (
        [allow("s3:PutObject", file("a"))],
        [allow("s3:PutObject", file("b"))],
        f"may now do s3:PutObject on {file('b')}",
    ),
    "a file of another account is read": (
        [allow(resource=file("a"))],
        [allow(resource=file("a").replace("1", "2"))],
        "may now do s3:GetObject on arn:aws:s3:::cdk-hnb659fds-assets-222222222222-us-east-2/",
    ),
    "an action came": (
        [allow()],
        [allow(), allow("s3:PutObject")],
        "may now do s3:PutObject on arn:aws:s3:::data/a/*",
    ),
    "an action became a wildcard": ([allow("s3:GetObject")], [allow("s3:Get*")], "may now do s3:Get*"),
    "a wildcard became shorter": ([allow("s3:GetObject*")], [allow("s3:Get*")], "may now do s3:Get*"),
    "all actions": ([allow("s3:*")], [allow("*")], "may now do *"),
    "a resource came": (
        [allow()],
        [allow(resource=[A, B])],
        "may now do s3:GetObject on arn:aws:s3:::data/b/*",
    ),
    "a resource has a shorter prefix": (
        [allow()],
        [allow(resource="arn:aws:s3:::data/*")],
        "arn:aws:s3:::data/*",
    ),
    "a resource became all": ([allow()], [allow(resource="*")], "may now do s3:GetObject on *"),
    "an action and a resource that stood apart come together": (
        [allow("s3:GetObject", A), allow("s3:PutObject", B)],
        [allow(["s3:GetObject", "s3:PutObject"], [A, B])],
        "may now do",
    ),
    "an action became all but some": (
        [allow()],
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": A}],
        "may now do all but iam:*",
    ),
    "NotAction excludes less": (
        [{"Effect": "Allow", "NotAction": ["iam:*", "kms:*"], "Resource": A}],
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": A}],
        "may now do all but iam:*",
    ),
    "an action is what NotAction excluded": (
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
        [allow("iam:Pass*", "*")],
        "may now do iam:Pass*",
    ),
    "NotResource": (
        [allow()],
        [{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": B}],
        "on all but",
    ),
    "a condition went": (
        [when("StringEquals", "1")],
        [allow()],
        "on arn:aws:s3:::data/a/* without a condition; before if aws:SourceAccount StringEquals 1",
    ),
    "a condition's list grew": (
        [when("StringEquals", "1")],
        [when("StringEquals", ["1", "2"])],
        "if aws:SourceAccount StringEquals 1 or 2; before if aws:SourceAccount StringEquals 1",
    ),
    "a negated condition excludes less": (
        [when("StringNotEquals", ["1", "2"])],
        [when("StringNotEquals", "1")],
        "if aws:SourceAccount StringNotEquals 1;",
    ),
    "a condition looks at another key": (
        [when("StringEquals", "1")],
        [when("StringEquals", "1", key="aws:PrincipalAccount")],
        "if aws:PrincipalAccount",
    ),
    "a condition is met without its key": (
        [when("StringEquals", "1")],
        [when("StringEqualsIfExists", "1")],
        "StringEqualsIfExists",
    ),
    "a value became a pattern": ([when("StringEquals", "a")], [when("StringLike", "a*")], "StringLike a*"),
    "any value is enough where all were asked": (
        [when("ForAllValues:StringEquals", "1", key="aws:TagKeys")],
        [when("ForAnyValue:StringEquals", "1", key="aws:TagKeys")],
        "ForAnyValue:StringEquals",
    ),
    "an ARN's pattern got a wildcard in another part": (
        [when("ArnLike", "arn:aws:iam::1:role/a")],
        [when("ArnLike", "arn:aws:iam::*:role/a")],
        "arn:aws:iam::*:role/a",
    ),
    "one of two conditions went": (
        [both("StringEquals", "1", {"Bool": {"aws:SecureTransport": "true"}})],
        [when("StringEquals", "1")],
        "if aws:SourceAccount StringEquals 1;",
    ),
    "a variable where a name stood": (
        [allow(resource="arn:aws:s3:::data/me/*")],
        [allow(resource="arn:aws:s3:::data/${aws:username}/*")],
        "${aws:username}",
    ),
    "a name where a variable stood": (
        [allow(resource="arn:aws:s3:::data/${aws:username}/*")],
        [allow(resource="arn:aws:s3:::data/you/*")],
        "data/you/*",
    ),
    "a denial went": ([READ, DENY], [READ], "no longer denies: s3:* on * if aws:SecureTransport Bool false"),
    "a denial became narrower": (
        [READ, {"Effect": "Deny", "Action": ["s3:A", "s3:B"], "Resource": "*"}],
        [READ, {"Effect": "Deny", "Action": "s3:A", "Resource": "*"}],
        "no longer denies: s3:B on *",
    ),
    "a denial got a condition": (
        [READ, {**DENY, "Condition": {}}],
        [READ, DENY],
        "denies less than before: s3:* on *",
    ),
    "a denial's values became fewer": (
        [READ, {**DENY, "Condition": {"StringEquals": {"aws:PrincipalAccount": ["1", "2"]}}}],
        [READ, {**DENY, "Condition": {"StringEquals": {"aws:PrincipalAccount": ["1"]}}}],
        "denies less than before",
    ),
    "a statement that nobody can read": (
        [READ],
        [READ, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": A, "Whatever": 1}],
        "can't be compared",
    ),
    "a statement that a condition of the template chooses": (
        [READ],
        [READ, {"Fn::If": ["Wide", READ, DENY]}],
        "can't be compared",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_nothing_widens_where(case: str) -> None:
    assert grants(*SAME[case]) == []


@pytest.mark.parametrize("case", WIDER)
def test_it_widens_where(case: str) -> None:
    old, new, words = WIDER[case]
    lines = grants(old, new)
    assert len(lines) == 1, lines
    assert lines[0].startswith("ProdStack: role worker ")
    assert words in lines[0]


@pytest.mark.parametrize("case", [name for name, (old, *_) in WIDER.items() if name != "a denial went"])
def test_nothing_widens_where_nothing_is_done(case: str) -> None:
    old, new, _ = WIDER[case]
    assert grants(old, old) == grants(new, new) == []


def test_a_policy_of_the_old_version_knows_no_variables() -> None:
    from tests.ops.iam_templates import document, role, widens

    def of(version: str) -> dict[str, Any]:
        statement = allow(resource="arn:aws:s3:::data/${aws:username}/*")
        inline = [{"PolicyName": "Policy", "PolicyDocument": document(statement, version=version)}]
        return {"Role": role(RoleName="worker", Policies=inline)}

    assert widens(of("2008-10-17"), of("2008-10-17")) == []
    assert len(widens(of("2008-10-17"), of("2012-10-17"))) == 1
