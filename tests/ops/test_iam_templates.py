"""Expressions of templates: what is known is written out, what isn't stands for one thing only."""

from __future__ import annotations

from typing import Any

import pytest

from ops.iam.templates import Template, readable
from tests.ops.iam_templates import ACCOUNT, READ, REGION, role, widens

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {}}
BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}}


def resolved(value: Any, **body: Any) -> Any:
    resources = {"Queue": QUEUE, "Bucket": BUCKET, "Named": role(RoleName="r", Path="/mlops/")}
    return Template({"Resources": resources, **body}, stack="S", account=ACCOUNT, region=REGION).resolve(
        value
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::AccountId"}, ACCOUNT),
        ({"Ref": "Bucket"}, "data"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::data"),
        ({"Fn::GetAtt": "Bucket.Arn"}, "arn:aws:s3:::data"),
        ({"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/*"]]}, "arn:aws:s3:::data/*"),
        (
            {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}/${!aws:username}"},
            "arn:aws:s3:::data/${aws:username}",
        ),
        ({"Fn::Sub": ["${A}-${Bucket.Arn}", {"A": "x"}]}, "x-arn:aws:s3:::data"),
        ({"Fn::GetAtt": ["Named", "Arn"]}, f"arn:aws:iam::{ACCOUNT}:role/mlops/r"),
        ({"Fn::Select": [1, {"Fn::Split": ["/", "a/b"]}]}, "b"),
        ({"A": {"Ref": "AWS::NoValue"}, "B": [1, {"Ref": "AWS::NoValue"}]}, {"B": [1]}),
    ],
)
def test_what_is_known_is_written_out(value: Any, expected: Any) -> None:
    assert resolved(value) == expected


def test_what_is_not_known_is_readable_and_no_pattern() -> None:
    marked = resolved({"Fn::GetAtt": ["Queue", "Arn"]})
    assert readable(marked) == f"arn:aws:sqs:{REGION}:{ACCOUNT}:Queue"
    unknown = resolved({"Fn::ImportValue": "a*:$?"})
    assert not set("*?:$") & set(unknown)
    assert readable(unknown) == '{"Fn::ImportValue": "a*:$?"}'


def test_a_parameter_with_another_default_is_another_value() -> None:
    values = {text: resolved({"Ref": "P"}, Parameters={"P": {"Default": text}}) for text in "ab"}
    assert values["a"] != values["b"]
    assert values["a"] == resolved({"Ref": "P"}, Parameters={"P": {"Default": "a"}})


def test_a_resource_behind_an_expression_that_gets_another_name_widens() -> None:
    def of(name: str) -> dict[str, Any]:
        statement = READ | {"Resource": {"Fn::GetAtt": ["Bucket", "Arn"]}}
        bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
        return {"Role": role(statement, RoleName="worker"), "Bucket": bucket}

    assert "arn:aws:s3:::other" in widens(of("data"), of("other"))[0]


def test_a_name_instead_of_an_expression_that_means_it_widens_nothing() -> None:
    by_expression = {"Role": role(READ | {"Resource": {"Fn::GetAtt": ["Bucket", "Arn"]}}), "Bucket": BUCKET}
    by_name = {"Role": role(READ | {"Resource": "arn:aws:s3:::data"}), "Bucket": BUCKET}
    assert widens(by_expression, by_name) == widens(by_name, by_expression) == []


def test_what_a_custom_resource_gives_may_change_with_its_properties() -> None:
    def of(text: str) -> dict[str, Any]:
        custom = {"Type": "Custom::Finder", "Properties": {"What": text}}
        return {"Role": role(READ | {"Resource": {"Fn::GetAtt": ["Custom", "Found"]}}), "Custom": custom}

    assert widens(of("a"), of("a")) == []
    assert "Custom.Found" in widens(of("a"), of("b"))[0]


def test_a_choice_of_the_template_is_the_same_only_under_the_same_conditions() -> None:
    def of(condition: str) -> Template:
        choice = {"Fn::If": ["C", "arn:aws:s3:::a", "arn:aws:s3:::*"]}
        body = {
            "Resources": {"Role": role(READ | {"Resource": choice})},
            "Conditions": {"C": {"Ref": condition}},
        }
        return Template(body, stack="S", account=ACCOUNT, region=REGION)

    from ops.iam.widening import compare

    assert compare(of("X"), of("X")) == []
    assert len(compare(of("X"), of("Y"))) == 1
