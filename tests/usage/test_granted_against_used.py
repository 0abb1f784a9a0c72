"""Every action that is granted is used on the embedded cloud, or its reason stands in explained.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.usage import comparison, granted, names, used
from tests.usage.comparison import Comparison
from tests.usage.explained import EXPLAINED, Explained
from tests.usage.granted import Grant
from tests.usage.used import Use

pytestmark = pytest.mark.xdist_group("usage")
AGAIN = "make used-permissions (all of it), or make used-permissions TESTS=<the tests that use it>"


@pytest.fixture(scope="module")
def now() -> Comparison:
    return comparison.now()


def test_every_granted_action_is_used_or_explained(now: Comparison) -> None:
    left = "\n".join(comparison.told(now.unexplained))
    assert not left, f"{now.in_words}; remove these, record their use ({AGAIN}), or explain them:\n{left}"


def test_the_explanations_stay_few(now: Comparison) -> None:
    assert len(EXPLAINED) <= 15
    assert len({entry.why for entry in EXPLAINED}) == len(EXPLAINED)
    assert len(now.used) > len(now.explained)


def test_every_explanation_is_needed(now: Comparison) -> None:
    assert not now.superfluous, f"used after all, or not granted any more: {now.superfluous}"


@pytest.mark.parametrize("entry", EXPLAINED, ids=lambda entry: f"{entry.holders[0]} {entry.actions[0]}")
def test_an_explanation_has_a_reason_and_a_page_of_aws(entry: Explained) -> None:
    assert entry.why
    assert entry.link.startswith("https://docs.aws.amazon.com/")


def test_every_use_that_is_committed_is_granted(now: Comparison) -> None:
    uses = frozenset().union(*used.load().values())
    stale = sorted(use for use in uses if not any(grant.covers(*use) for grant in now.granted))
    assert not stale, f"no policy grants these any more: {stale}; {AGAIN}"


def test_the_committed_file_is_as_the_command_writes_it(tmp_path: Path) -> None:
    used.save(used.load(), granted.grants(), tmp_path / "used.json")
    assert (tmp_path / "used.json").read_bytes() == used.FILE.read_bytes()


def test_no_use_and_no_grant_holds_an_id_of_one_run(now: Comparison) -> None:
    uses = frozenset().union(*used.load().values())
    held = {use.resource for use in uses} | {one for grant in now.granted for one in grant.resources}
    assert not [one for one in held if any(account in one for account in ("1" * 12, "2" * 12, "3" * 12))]


# --- the comparison sees what it must


READ = Grant("train", "s3:GetObject", ("arn:s3:::DATA-BUCKET/MODEL/data/*",))


def test_a_grant_without_a_use_is_left_over() -> None:
    assert Comparison.of([READ], []).unexplained == [READ]


@pytest.mark.parametrize(
    "use",
    [
        Use("inference", "s3:GetObject", "arn:s3:::DATA-BUCKET/MODEL/data/FILE"),
        Use("train", "s3:PutObject", "arn:s3:::DATA-BUCKET/MODEL/data/FILE"),
        Use("train", "s3:GetObject", "arn:s3:::DATA-BUCKET/MODEL/train/FILE"),
    ],
    ids=["of another role", "of another action", "on something else"],
)
def test_a_use_of_something_else_does_not_count(use: Use) -> None:
    assert Comparison.of([READ], [use]).unexplained == [READ]


def test_a_use_counts_for_the_grant_that_covers_it() -> None:
    found = Comparison.of([READ], [Use("train", "s3:GetObject", "arn:s3:::DATA-BUCKET/MODEL/data/FILE")])
    assert list(found.used) == [READ]
    assert not found.unexplained


def test_an_explanation_of_something_that_is_used_is_superfluous() -> None:
    pull = Grant("train", "ecr:BatchGetImage", ("arn:ecr:REGION:ACCOUNT:repository/sagemaker-xgboost",))
    (entry,) = [one for one in EXPLAINED if one.covers(pull)]
    assert entry not in Comparison.of([pull], []).superfluous
    assert entry in Comparison.of([pull], [Use(pull.holder, pull.action, pull.resources[0])]).superfluous


# --- one name for the same thing


@pytest.mark.parametrize(
    ("role", "purpose"),
    [
        ("mlops/dev/train/mammo-severity-dev-train", "train"),
        ("mlops/prod/train/wine-quality-prod-train", "train"),
        ("mlops/dev/train/mammo-severity--green-dev-train", "train"),
        ("mlops/registry/notifier/mlops-registry-notifier", "registry notifier"),
        ("mlops/delivery/build/mlops-delivery-check-staging", "build check"),
        ("mlops/delivery/build/mlops-delivery-synth", "build synth"),
        ("mlops/delivery/pipeline/mlops-versions-pipeline", "pipeline versions"),
    ],
)
def test_a_role_is_known_by_what_it_is_for(role: str, purpose: str) -> None:
    assert names.purpose(f"arn:aws:iam::111111111111:role/{role}") == purpose


def test_a_role_that_is_not_ours_and_an_account_hold_nothing() -> None:
    found = [
        names.holder(f"arn:aws:iam::111111111111:{one}") for one in ("root", "role/cdk-hnb659fds-deploy")
    ]
    assert found == [None, None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "arn:aws:s3:::sagemaker-mlops-dev-111111111111-us-east-1/mammography-severity-model/data/train-dataset/a.csv",
            "arn:aws:s3:::sagemaker-mlops-prod-222222222222-eu-west-1/wine-quality-model/data/train-dataset/b.csv",
        ),
        (
            "arn:aws:sagemaker:us-east-1:111111111111:training-job/mammo-severity-train-train-0b1c2d3e4f5a-AbCdEfGh-0",
            "arn:aws:sagemaker:us-east-1:222222222222:training-job/wine-quality-train-train-zzzzzzzzzzzz-AbCdEfGhIj-1",
        ),
        (
            "arn:aws:s3:::sagemaker-mlops-dev-111111111111-us-east-1/mammography-severity-model/state/alerts/abcdefabcdef.json",
            "arn:aws:s3:::sagemaker-mlops-dev-111111111111-us-east-1/mammography-severity-model/state/alerts/0123456789ab.json",
        ),
        (
            "arn:aws:kms:us-east-1:111111111111:alias/mlops-dev-data",
            "arn:aws:kms:us-east-1:222222222222:alias/mlops-prod-data",
        ),
    ],
    ids=["objects", "jobs", "state", "keys"],
)
def test_the_same_thing_has_one_name_in_every_installation(one: str, other: str) -> None:
    assert names.place(one) == names.place(other)


def test_what_was_used_lies_under_the_pattern_that_grants_it() -> None:
    bucket = "arn:aws:s3:::sagemaker-mlops-dev-111111111111-us-east-1/mammography-severity-model"
    pattern = names.resource(f"{bucket}/*/data-quality/verdict.json")
    grant = Grant("notifier", "s3:GetObject", (pattern,))
    there = names.place(f"{bucket}/inference/0b1c2d3e4f5a/data-quality/verdict.json")
    assert grant.covers("notifier", "s3:GetObject", there)
    assert not grant.covers("notifier", "s3:GetObject", there.replace("verdict", "statistics"))
