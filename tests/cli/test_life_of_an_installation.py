"""From the first deployment to the last, by the real CDK CLI: diff, delivery, an update, destroy, and back again."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from demo.lookout import Run
from local_cloud.cloud import LocalCloud
from ops import data, registry
from ops.errors import CommandError
from pipeline_code.mammography import dataset
from stacks import settings as app
from tests.cli.installation import DELIVERED, STACKS, Installation, changed_types, differences

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("cli")]

DIRECT: dict[str, Any] = {"models": [{"folder": "mammography"}], "email": "ml-team@example.com"}
CONNECTION = "arn:aws:codeconnections:us-east-1:333333333333:connection/00000000-0000-0000-0000-000000000000"
DELIVERY = {**DIRECT, "delivery": {"repository": "example/mlops", "connection_arn": CONNECTION}}
THRESHOLD = {**DELIVERY, "thresholds": {"auc": 0.8}}


@dataclass
class Story:
    """What was seen at each point of an installation's life."""

    said: dict[str, str] = field(default_factory=dict)  # by command
    states: dict[str, dict[str, str]] = field(default_factory=dict)  # of the stacks, by point
    held: dict[str, Any] = field(default_factory=dict)  # what stays, by point
    versions: dict[str, list[registry.Version]] = field(default_factory=dict)
    gate: dict[str, str] = field(default_factory=dict)  # of the train pipelines, by stage
    scored: Run | None = None
    adopted: tuple[int, str] = (-1, "")
    again: tuple[int, str] = (-1, "")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    work = tmp_path_factory.mktemp("cli")
    settings = app.load(DIRECT)
    with LocalCloud.start(accounts=tuple(settings.accounts.values())) as cloud:
        place = Installation(cloud, settings, settings.models[0], work=work)
        place.prepare({"direct": DIRECT, "delivery": DELIVERY, "threshold": THRESHOLD})
        yield told(place)


def told(place: Installation) -> Story:
    """Live through an installation's life, in its order."""
    story = Story()

    def note(point: str) -> None:
        story.states[point] = place.statuses()
        story.held[point] = place.holdings()
        story.versions[point] = place.versions()

    # Directly, and with the settings of the delivery: these give each stage a role for its checks.
    place.deploy(*STACKS, assembly="delivery")
    story.said["diff"] = place.cdk("diff", "--fail", *STACKS, assembly="delivery")
    story.said["diff of delivery"] = place.cdk("diff", "--fail", *DELIVERED, assembly="delivery")
    story.said["deploy from delivery"] = place.deploy(*DELIVERED, assembly="delivery")
    story.said["diff of threshold"] = place.cdk("diff", *DELIVERED, assembly="threshold")
    place.deploy(*DELIVERED, assembly="threshold")
    story.gate = {stage: gate(place, stage) for stage in ("dev", "prod")}
    trained(place)
    note("before")
    place.cdk("destroy", *STACKS, "--force", "--concurrency", "3")
    damage(place)
    note("destroyed")
    with pytest.raises(CommandError) as refused:
        place.deploy(*STACKS)
    story.said["deploy before adopting"] = str(refused.value)
    adopted = place.adopt()
    story.adopted = adopted.returncode, adopted.stdout + adopted.stderr
    note("adopted")
    place.deploy(*STACKS)
    note("back")
    story.said["diff of what is back"] = place.cdk("diff", "--fail", *STACKS)
    again = place.adopt(STAGE="dev")
    story.again = again.returncode, again.stdout + again.stderr
    arn = place.start("dev", "inference")
    story.scored = place.follow("score", "dev", arn)
    return story


def gate(place: Installation, stage: str) -> str:
    """Return the AUC threshold that a stage's train pipeline has by default."""
    sagemaker = place.client(stage, "sagemaker")
    name = place.stage("dev" if stage == "dev" else "prod").pipeline_name(place.model, "train")
    definition = sagemaker.describe_pipeline(PipelineName=name)["PipelineDefinition"]

    parameters = {one["Name"]: one.get("DefaultValue") for one in json.loads(definition)["Parameters"]}
    return str(parameters["AucScoreThreshold"])


def trained(place: Installation) -> None:
    """Train version 1 in dev and approve it as the registry account's root."""
    files: Path = place.work / "data"
    files.mkdir()
    dataset.prepare(dataset.source(files, offline=True), files)
    stage = place.stage("dev")
    data.upload(place.session(stage.account), stage, place.model, files, say=lambda line: None)
    run = place.follow("train", "dev", place.start("dev", "train"))
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    (version,) = place.versions()
    place.client("registry", "sagemaker").update_model_package(
        ModelPackageArn=version.arn, ModelApprovalStatus="Approved"
    )
    deadline = time.monotonic() + 60
    while (
        "approved_model_version_id" not in place.versions()[0].metrics
    ):  # the registry records the files meanwhile
        assert time.monotonic() < deadline, "the approval was not recorded within a minute"
        time.sleep(0.2)


def damage(place: Installation) -> None:
    """Change what stayed behind CloudFormation's back, as a helpful colleague might."""
    kms, s3 = place.client("registry", "kms"), place.client("dev", "s3")
    key = kms.describe_key(KeyId="alias/mlops-artifacts")["KeyMetadata"]["KeyId"]
    kms.disable_key_rotation(KeyId=key)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=only_the_owner("kms:*", "*"))
    bucket = place.stage("dev").data_bucket_name
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_bucket_lifecycle(Bucket=bucket)
    group = place.model.model_package_group
    arn = (
        f"arn:aws:sagemaker:{place.region}:{place.settings.accounts['registry']}:model-package-group/{group}"
    )
    place.client("registry", "sagemaker").put_model_package_group_policy(
        ModelPackageGroupName=group,
        ResourcePolicy=only_the_owner("sagemaker:DescribeModelPackageGroup", arn),
    )


def only_the_owner(action: str, resource: str) -> str:
    """Return a policy that admits the registry account alone."""
    owner = {"AWS": "arn:aws:iam::333333333333:root"}
    statement = {"Effect": "Allow", "Principal": owner, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_diff_after_a_deployment_is_empty(story: Story) -> None:
    assert differences(story.said["diff"]) == 0


def test_the_diff_from_direct_deployment_to_the_delivery_pipelines_stages_is_empty(story: Story) -> None:
    assert differences(story.said["diff of delivery"]) == 0
    assert story.said["diff of delivery"].count("There were no differences") == len(DELIVERED)


def test_the_delivery_pipelines_stages_deploy_nothing_new_over_a_direct_deployment(story: Story) -> None:
    assert story.said["deploy from delivery"].count("(no changes)") == len(DELIVERED)


def test_a_new_threshold_changes_the_pipelines_of_dev_and_prod_and_nothing_else(story: Story) -> None:
    diff = story.said["diff of threshold"]
    assert differences(diff) == 2
    assert changed_types(diff) == {"Custom::SageMakerPipeline"}
    assert "AucScoreThreshold" in diff
    assert story.gate == {"dev": "0.8", "prod": "0.8"}
    assert story.states["before"] == {
        "RegistryStack": "CREATE_COMPLETE",
        "DevStack": "UPDATE_COMPLETE",
        "ProdStack": "UPDATE_COMPLETE",
    }


def test_destroying_all_three_stacks_ends_well(story: Story) -> None:
    assert set(story.states["destroyed"].values()) == {"DELETE_COMPLETE"}


def test_buckets_keys_with_their_aliases_groups_and_versions_stay(story: Story) -> None:
    assert set(story.held["destroyed"]) == set(story.held["before"])
    assert [version.version for version in story.versions["destroyed"]] == [1]
    assert ids(story.held["destroyed"]) == ids(story.held["before"])


def test_deploying_without_adopting_fails_and_adopting_clears_up_after_it(story: Story) -> None:
    said = story.said["deploy before adopting"]
    # Three stacks deploy side by side: which of them is told last is chance.
    assert any(f"{name} failed to deploy" in said or f"{name} failed creation" in said for name in STACKS), (
        said
    )
    assert story.adopted[1].count("the empty stack is deleted") == len(STACKS)


def test_adopting_says_what_it_takes_up_and_what_comes_next(story: Story) -> None:
    code, said = story.adopted
    assert code == 0, said
    for name in story.held["before"]:
        assert name in said
    assert said.rstrip().endswith("make deploy")


def test_adopted_stacks_hold_what_stayed_as_the_templates_say_before_anything_else_is_there(
    story: Story,
) -> None:
    assert set(story.states["adopted"].values()) == {"UPDATE_COMPLETE"}
    assert without_bucket_policies(story.held["adopted"]) == without_bucket_policies(story.held["before"])


def test_after_the_second_deployment_all_is_as_it_was_whatever_was_changed_meanwhile(story: Story) -> None:
    assert without_bucket_policies(story.held["destroyed"]) != without_bucket_policies(story.held["before"])
    assert story.held["back"] == story.held["before"]


def test_a_diff_after_the_second_deployment_is_empty(story: Story) -> None:
    assert differences(story.said["diff of what is back"]) == 0


def test_adopting_again_does_nothing(story: Story) -> None:
    assert story.again == (0, "DevStack: nothing to take up\n")


def test_an_old_version_is_listed_and_scores_after_the_second_deployment(story: Story) -> None:
    assert story.versions["back"] == story.versions["before"]
    assert story.scored is not None
    assert story.scored.outcome.status == "Succeeded", story.scored.outcome.in_words()
    assert story.scored.model_version == 1
    assert story.scored.rows_scored


def ids(held: dict[str, Any]) -> dict[str, Any]:
    """Return what says that a key or group is the same one."""
    return {name: facts.get("id") or facts.get("created") for name, facts in held.items()}


def without_bucket_policies(held: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is a resource of its own, and goes and comes with its stack."""
    rest = copy.deepcopy(held)
    for facts in rest.values():
        facts.pop("bucket_policy", None)
    return rest
