"""What the stacks of an installation are made of, whatever its settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdk_mlops import ALLOW_DESTROY
from stacks.installation import PIPELINE_KINDS
from stacks.settings import load
from tests.fixtures.trees import two_models
from tests.fixtures.wheels import build_wheel, keep, pin
from tests.library.policy_audit import findings
from tests.stacks.installations import SETTINGS, assembly, resources, synthesized, template

EVERY_STACK = [(name, stack) for name in SETTINGS for stack in ("RegistryStack", "DevStack", "ProdStack")]
EVERY_STACK += [("full", "StagingStack")]


@pytest.mark.parametrize(("installation", "stack"), EVERY_STACK)
def test_no_policy_is_wider_than_its_reason(installation: str, stack: str) -> None:
    assert findings(template(installation, stack)) == []


def pipelines(installation: str, stack: str) -> dict[str, dict[str, Any]]:
    found = resources(template(installation, stack), "Custom::SageMakerPipeline").values()
    return {str(one["Tags"]["mlops:kind"]): one for one in found}


@pytest.mark.parametrize("kind", PIPELINE_KINDS)
@pytest.mark.parametrize("installation", ["default", "full", "model-monitor", "elsewhere"])
def test_dev_and_prod_run_the_same_bytes(installation: str, kind: str) -> None:
    dev, prod = (pipelines(installation, stack)[kind] for stack in ("DevStack", "ProdStack"))
    folder = Path(assembly(installation).directory)

    def body(pipeline: dict[str, Any]) -> bytes:
        return (folder / f"asset.{pipeline['DefinitionKey']}").read_bytes()

    assert dev["DefinitionKey"] == prod["DefinitionKey"]
    assert body(dev) == body(prod)
    assert dev["CodeHash"] == prod["CodeHash"]


def test_staging_is_made_of_what_prod_is_made_of_with_its_schedule_off() -> None:
    def normal(stack: str, name: str, account: str) -> dict[str, Any]:
        text = json.dumps(template("full", stack)["Resources"], sort_keys=True)
        (operator,) = SETTINGS["full"]["people"]["operators"]  # lies in prod's account, and may act in both
        words = {operator: "<operator>", account: "<account>", stack: "<stack>", name: "<stage>"}
        for word, general in words.items():
            text = text.replace(word, general)
        return dict(json.loads(text))

    staging = normal("StagingStack", "staging", "444444444444")
    prod = normal("ProdStack", "prod", "222222222222")
    # nobody follows the batches that promotions try from day to day
    watched = [prod[key]["Properties"] for key in prod if key not in staging]
    named = sorted(one.get("AlarmName") or one["DashboardName"] for one in watched)
    assert [name.removeprefix("mammo-severity-<stage>-") for name in named] == [
        *("batches", "drift-goes-on", "silence")
    ]
    assert set(staging) <= set(prod)
    for key, one in staging.items():
        if one["Type"] == "AWS::Scheduler::Schedule":
            assert (one["Properties"].pop("State"), prod[key]["Properties"].pop("State")) == (
                "DISABLED",
                "ENABLED",
            )
        if "VERSIONS" in (used := variables(one)):  # a version can be tried in staging before it is approved
            assert (used.pop("VERSIONS"), variables(prod[key]).pop("VERSIONS")) == ("any", "approved")
        assert one == prod[key], key


def variables(resource: dict[str, Any]) -> dict[str, str]:
    """Return the environment of a function; of another resource none."""
    found: dict[str, str] = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
    return found


def test_a_version_that_is_not_approved_can_be_tried_in_dev_and_never_in_prod() -> None:
    used = {}
    for stack in ("DevStack", "ProdStack"):
        found = [variables(one).get("VERSIONS") for one in template("default", stack)["Resources"].values()]
        (used[stack],) = [one for one in found if one]
    assert used == {"DevStack": "any", "ProdStack": "approved"}


def test_the_pipelines_know_the_digest_that_is_their_tag() -> None:
    for kind, pipeline in pipelines("default", "ProdStack").items():
        defaults, tags = pipeline["ParameterDefaults"], pipeline["Tags"]
        assert defaults["DefinitionSha256"] == tags["mlops:definition"], kind
        assert defaults["GitCommit"] == tags["mlops:commit"], kind


def test_every_parameter_without_a_default_gets_its_value() -> None:
    for kind, pipeline in pipelines("default", "ProdStack").items():
        body = (Path(assembly("default").directory) / f"asset.{pipeline['DefinitionKey']}").read_text()
        wanted = {p["Name"] for p in json.loads(body)["Parameters"] if "DefaultValue" not in p}
        assert wanted - {"CodeUri"} <= set(pipeline["ParameterDefaults"]), kind


def test_the_training_data_are_named_as_a_folder() -> None:
    """SageMaker reads every key that begins like the URI; without the slash also train-dataset-old/."""
    for installation, stack in (
        ("default", "DevStack"),
        ("default", "ProdStack"),
        ("elsewhere", "ProdStack"),
    ):
        url = pipelines(installation, stack)["train"]["ParameterDefaults"]["InputDataUrl"]
        assert url.endswith("/mammography-severity-model/data/train-dataset/")


def test_settings_reach_the_pipelines() -> None:
    values = SETTINGS["default"] | {
        "thresholds": {"auc": 0.91, "champion_margin": 0.005, "drift": 0.2},
        "predictions_on_drift": "deliver",
    }
    found = synthesized(values).get_stack_by_name("ProdStack").template
    by_kind = {
        p["Tags"]["mlops:kind"]: p["ParameterDefaults"]
        for p in resources(found, "Custom::SageMakerPipeline").values()
    }
    assert by_kind["train"]["AucScoreThreshold"] == "0.91"
    assert by_kind["train"]["MinGainOverChampion"] == "-0.005"
    assert by_kind["inference"]["DriftThreshold"] == "0.2"
    assert by_kind["inference"]["PredictionsOnDrift"] == "deliver"


def test_only_prod_is_scheduled_and_retrains_by_itself() -> None:
    schedules = resources(template("default", "ProdStack"), "AWS::Scheduler::Schedule").values()
    started = {one["Name"]: one["Target"]["Arn"].rpartition("/")[2] for one in schedules}
    assert started == {
        f"mammo-severity-prod-{kind}": f"mammo-severity-{kind}-pipeline" for kind in ("inference", "quality")
    }
    assert len({json.dumps([one["ScheduleExpression"], one["State"]]) for one in schedules}) == 1
    roles = {json.dumps(one["Target"]["RoleArn"]) for one in schedules}
    assert len(roles) == 2
    assert not resources(template("default", "DevStack"), "AWS::Scheduler::Schedule")
    tags = {
        (stack, kind): pipelines("default", stack)[kind]["Tags"]["mlops:retrain-on"]
        for stack in ("DevStack", "ProdStack")
        for kind in PIPELINE_KINDS
    }
    assert tags == {
        **dict.fromkeys([("DevStack", kind) for kind in PIPELINE_KINDS], "none"),
        ("ProdStack", "train"): "none",
        ("ProdStack", "inference"): "drift",
        ("ProdStack", "quality"): "drift",
    }


def test_the_quality_pipeline_has_the_inference_role_and_looks_below_the_models_data() -> None:
    found = pipelines("default", "ProdStack")
    assert found["quality"]["RoleArn"] == found["inference"]["RoleArn"]
    defaults, bucket = found["quality"]["ParameterDefaults"], "sagemaker-mlops-prod-222222222222-us-east-1"
    home = f"s3://{bucket}/mammography-severity-model"
    assert (defaults["RunUri"], defaults["ground_truth_input"]) == (
        f"{home}/quality",
        f"{home}/data/ground-truth/",
    )


def test_nobody_gets_a_role_unless_the_settings_name_them() -> None:
    for stack, purpose in (
        ("RegistryStack", "approver"),
        ("DevStack", "data-scientist"),
        ("ProdStack", "operator"),
    ):
        names = {
            installation: [
                role.get("RoleName")
                for role in resources(template(installation, stack), "AWS::IAM::Role").values()
            ]
            for installation in ("default", "full")
        }
        assert not any(str(name).endswith(purpose) for name in names["default"])
        assert any(str(name).endswith(purpose) for name in names["full"])


def test_stages_may_share_one_account() -> None:
    names: list[str] = []
    for stack in ("RegistryStack", "DevStack", "ProdStack"):
        for kind, key in (
            ("AWS::IAM::Role", "RoleName"),
            ("AWS::S3::Bucket", "BucketName"),
            ("AWS::KMS::Alias", "AliasName"),
            ("AWS::Lambda::Function", "FunctionName"),
            ("AWS::SNS::Topic", "TopicName"),
            ("Custom::SageMakerPipeline", "PipelineName"),
            ("AWS::CloudWatch::Alarm", "AlarmName"),
        ):
            found = resources(template("one-account", stack), kind).values()
            names += [f"{kind} {one[key]}" for one in found if key in one]
    assert sorted(names) == sorted(set(names))


def test_jobs_of_stages_that_share_an_account_are_told_apart_by_their_names() -> None:
    for stack, prefix in (("DevStack", "mammo-severity-dev"), ("ProdStack", "mammo-severity-prod")):
        pipelines = resources(template("one-account", stack), "Custom::SageMakerPipeline").values()
        assert {one["RenameJobs"]["mammo-severity"] for one in pipelines} == {prefix}
    pipelines = resources(template("default", "DevStack"), "Custom::SageMakerPipeline").values()
    assert not any("RenameJobs" in one for one in pipelines)


def test_a_long_names_jobs_keep_24_characters_of_their_own_and_their_stage() -> None:
    settings = load(SETTINGS["one-account"])
    for name in ("dev", "prod"):
        model = replace(settings.models[0], prefix="a-prefix-of-24-character")
        prefix = settings.stage(name).job_prefix(model)
        assert prefix is not None
        assert len(prefix) <= 24
        assert prefix.endswith(f"-{name}")


def test_data_stay_when_a_stack_goes() -> None:
    for stack in ("RegistryStack", "DevStack", "ProdStack"):
        for resource in template("default", stack)["Resources"].values():
            if resource["Type"] in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SageMaker::ModelPackageGroup"):
                assert resource["DeletionPolicy"] == "Retain"
                assert resource["UpdateReplacePolicy"] == "Retain"


def test_a_throw_away_installation_leaves_nothing_but_needs_the_context_flag_too() -> None:
    with pytest.raises(ValueError, match=ALLOW_DESTROY):
        synthesized(SETTINGS["default"] | {"throw_away": True})
    found = synthesized(SETTINGS["default"] | {"throw_away": True}, **{ALLOW_DESTROY: True})
    for stack in ("DevStack", "ProdStack"):
        kept = [
            key
            for key, one in found.get_stack_by_name(stack).template["Resources"].items()
            if one.get("DeletionPolicy", "").startswith("Retain")
        ]
        assert kept == []


def test_two_models_share_what_is_shared_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_DEFINITIONS", str(two_models(tmp_path)))
    found = synthesized({})
    prod = found.get_stack_by_name("ProdStack").template
    assert len(resources(prod, "Custom::SageMakerPipeline")) == 6
    assert len(resources(prod, "AWS::S3::Bucket")) == 2  # the data, and the logs of who asked for them
    for kind in ("AWS::S3::BucketPolicy", "AWS::KMS::Key"):
        both, one = resources(prod, kind), resources(template("default", "ProdStack"), kind)
        assert json.dumps(both, sort_keys=True) == json.dumps(one, sort_keys=True)


def test_a_stale_definition_stops_synthesis_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = two_models(tmp_path)
    monkeypatch.setenv("MLOPS_DEFINITIONS", str(definitions))
    path = definitions / "mammography" / "default" / "train.json"
    path.write_text(path.read_text().replace("ml.m5.xlarge", "ml.m5.large"))
    with pytest.raises(ValueError, match="make definitions") as error:
        synthesized(SETTINGS["default"])
    assert "\n" not in str(error.value)
    assert "train.json" in str(error.value)


def test_packages_go_with_the_code_of_the_model_that_pins_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = two_models(tmp_path / "models")
    monkeypatch.setenv("MLOPS_DEFINITIONS", str(definitions))
    monkeypatch.setenv("MLOPS_WHEELS", str(tmp_path / "cache"))
    wheel = build_wheel(tmp_path / "made")
    pin(definitions.parent / "wine", wheel)
    with pytest.raises(ValueError, match="run: make wheels") as error:
        synthesized({})
    assert "\n" not in str(error.value)
    keep(tmp_path / "cache", wheel)
    found = synthesized({})
    made = resources(found.get_stack_by_name("ProdStack").template, "Custom::SageMakerPipeline").values()
    code = {one["Tags"]["mlops:model"]: one["CodeHash"] for one in made}
    assert code.pop("mammography-severity-model") == pipelines("default", "ProdStack")["train"]["CodeHash"]
    (folder,) = (Path(found.directory, f"asset.{digest}") for digest in code.values())
    assert (folder / "wheels" / wheel.name).read_bytes() == wheel.read_bytes()
