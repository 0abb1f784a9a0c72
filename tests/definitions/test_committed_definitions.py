"""What the committed definitions hold: the contract of docs/architecture.md, and what every job must have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local_cloud.sagemaker.definition_rules import check_definition
from pipeline_code.definitions import (
    KINDS,
    image_regions,
    image_uri,
    load,
    monitor_image_regions,
    monitor_image_uri,
)
from pipeline_code.lock import as_json
from pipeline_code.validate import errors
from pipeline_code.variants import VARIANTS
from tests.definitions.mutations import definition, step, steps_of
from tests.fixtures.trees import SECOND, SHIPPED

ROOTS = (SHIPPED / "definitions", SECOND / "definitions")
FILES = sorted(path for root in ROOTS for path in root.glob("*/*/*.json"))
OURS = [(kind, variant) for variant in VARIANTS for kind in KINDS]
JOB_NAMES = ("ProcessingJobName", "TrainingJobName", "TransformJobName", "ModelName")

FILLED = {
    "train": {
        "RoleArn",
        "CodeUri",
        "ImageUri",
        "RunUri",
        "ArtifactsUri",
        "DataKeyArn",
        "ArtifactsKeyArn",
        "ModelPackageGroupArn",
        "InputDataUrl",
        "GitCommit",
        "DefinitionSha256",
    },
    "inference": {
        "RoleArn",
        "CodeUri",
        "ImageUri",
        "RunUri",
        "DataKeyArn",
        "ModelPackageGroupArn",
        "transform_input",
        "GitCommit",
        "DefinitionSha256",
    },
    "quality": {
        "RoleArn",
        "CodeUri",
        "ImageUri",
        "RunUri",
        "DataKeyArn",
        "ModelPackageGroupArn",
        "ground_truth_input",
        "GitCommit",
        "DefinitionSha256",
    },
}
DEFAULTS: dict[str, dict[str, object]] = {
    "train": {
        "ProcessingInstanceType": "ml.m5.xlarge",
        "ProcessingInstanceCount": 1,
        "TrainingInstanceType": "ml.m5.xlarge",
        "ModelApprovalStatus": "PendingManualApproval",
        "AucScoreThreshold": 0.85,
        "MinGainOverChampion": -0.02,
    },
    "inference": {
        "ProcessingInstanceType": "ml.m5.xlarge",
        "ProcessingInstanceCount": 1,
        "TransformInstanceType": "ml.m5.xlarge",
        "PredictionsOnDrift": "withhold",
        "Rescore": "false",
        "ModelVersion": "newest_approved",
        "DriftThreshold": 0.0,
    },
    "quality": {"ProcessingInstanceType": "ml.m5.xlarge"},
}


def jobs(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps that run on SageMaker's machines, and the models."""
    kinds = {"Processing", "QualityCheck", "Training", "Transform", "Model"}
    return [held for held in steps_of(body["Steps"]) if held["Type"] in kinds]


def in_branches(body: dict[str, Any]) -> list[Any]:
    """Return the names of the steps, those of a condition's branches in a list of their own."""

    def name(held: dict[str, Any]) -> str:
        return str(held["Name"]).removeprefix("Mammo-")

    return [
        (
            name(held),
            [name(s) for s in held["Arguments"]["IfSteps"]],
            [name(s) for s in held["Arguments"]["ElseSteps"]],
        )
        if held["Type"] == "Condition"
        else name(held)
        for held in body["Steps"]
    ]


def get(target: str) -> dict[str, str]:
    return {"Get": target}


def run_uri(root: str, name: str) -> dict[str, Any]:
    values = [get(f"Parameters.{root}"), get("Execution.PipelineExecutionId"), name]
    return {"Std:Join": {"On": "/", "Values": values}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_sagemaker_would_take_it(path: Path) -> None:
    assert errors(path.read_text()) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_the_embedded_cloud_takes_it_once_it_is_filled(path: Path) -> None:
    function = "arn:aws:lambda:us-east-1:111122223333:function:some-function"
    body = json.loads(re.sub(r"@function:\w+@", function, path.read_text()))
    for declared in body["Parameters"]:
        declared.setdefault("DefaultValue", "filled")
    check_definition(json.dumps(body))


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_is_written_in_the_one_form(path: Path) -> None:
    assert path.read_bytes() == as_json(json.loads(path.read_text()))


def test_every_variant_of_both_models_is_committed() -> None:
    # wine has an id column, which Model Monitor would take for a feature
    expected = {("mammography", variant) for variant in VARIANTS} | {("wine", "default"), ("wine", "vpc")}
    assert {(path.parts[-3], path.parts[-2]) for path in FILES} == expected
    assert {path.name for path in FILES} == {"train.json", "inference.json", "quality.json"}


def test_the_steps_of_the_train_pipeline_are_those_of_the_contract() -> None:
    assert in_branches(definition("train")) == [
        "ResolveChampion",
        "PreProcessing",
        "Train",
        "Eval",
        ("CheckAUCScore", ["RegisterModel"], ["ExplainRejection", "AUCFail"]),
    ]


def test_the_steps_of_the_inference_pipeline_are_those_of_the_contract() -> None:
    assert in_branches(definition("inference")) == [
        "ResolveModel",
        "DataQualityCheck",
        ("CheckDeliver", ["CreateModel", "Transform", "RecordPredictions"], []),
        ("CheckDriftDelivered", ["AnnounceDriftDelivered"], []),
        ("CheckDrift", ["AnnounceDrift", "DriftFail"], []),
        ("CheckViolation", ["AnnounceViolation", "ViolationFail"], []),
    ]


def test_with_model_monitor_its_steps_stand_in_for_ours() -> None:
    assert ("CheckAUCScore", ["DataQualityCheck", "RegisterModel"], ["ExplainRejection", "AUCFail"]) in (
        in_branches(definition("train", "model-monitor"))
    )
    steps = in_branches(definition("inference", "model-monitor"))
    assert steps[:4] == ["ResolveModel", "DataQualityCheck", "ReadViolations", "Prepare"]
    assert steps[4:] == in_branches(definition("inference"))[2:]


def test_with_model_monitor_the_conditions_wait_for_the_last_word_and_its_page() -> None:
    body = definition("inference", "model-monitor")
    last = {
        "Std:JsonGet": {"PropertyFile": get("Steps.Mammo-Prepare.PropertyFiles.Verdict"), "Path": "action"}
    }
    for name in ("CheckDeliver", "CheckDriftDelivered", "CheckDrift", "CheckViolation"):
        (condition,) = step(body, name)["Arguments"]["Conditions"]
        assert last in condition.values(), name
    prepare = step(body, "Prepare")
    assert prepare["DependsOn"] == ["Mammo-ReadViolations"]
    folders = {one["InputName"]: one["S3Input"]["S3Uri"] for one in prepare["Arguments"]["ProcessingInputs"]}
    outputs = prepare["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    written = {one["OutputName"]: one["S3Output"]["S3Uri"] for one in outputs}
    read = step(body, "ReadViolations")["Arguments"]["report_uri"]
    assert folders["report"] == written["report"] == read


def test_the_steps_of_the_quality_pipeline_are_those_of_the_contract() -> None:
    assert in_branches(definition("quality")) == [
        "ResolveGroundTruth",
        ("CheckGroundTruth", ["ModelQualityCheck", "RecordModelQuality"], []),
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_ground_truth_is_judged_by_our_program_with_what_the_resolver_found(variant: str) -> None:
    body = definition("quality", variant)

    def resolved(name: str) -> dict[str, str]:
        return get(f"Steps.Mammo-ResolveGroundTruth.OutputParameters['{name}']")

    check = step(body, "ModelQualityCheck")["Arguments"]
    assert check["AppSpecification"]["ContainerEntrypoint"] == [
        "python3",
        "-m",
        "steps.model_quality",
        "check",
    ]
    assert {one["InputName"]: one["S3Input"]["S3Uri"] for one in check["ProcessingInputs"]} == {
        "code": get("Parameters.CodeUri"),
        "predictions": resolved("predictions_uri"),
        "ground-truth": resolved("ground_truth_uri"),
        "evaluation": resolved("evaluation_uri"),
        "batch": resolved("batch_uri"),
    }
    (output,) = check["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3Uri"] == run_uri("RunUri", "model-quality")
    assert check["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    recorded = step(body, "RecordModelQuality")
    assert recorded["DependsOn"] == ["Mammo-ModelQualityCheck"]
    assert {name: recorded["Arguments"][name] for name in ("ground_truth_digest", "batch_digest")} == {
        "ground_truth_digest": resolved("ground_truth_digest"),
        "batch_digest": resolved("batch_digest"),
    }
    (condition,) = step(body, "CheckGroundTruth")["Arguments"]["Conditions"]
    assert condition == {"Type": "Equals", "LeftValue": resolved("found"), "RightValue": "true"}


@pytest.mark.parametrize(("kind", "variant"), OURS)
def test_the_parameters_are_those_of_the_contract(kind: str, variant: str) -> None:
    parameters = definition(kind, variant)["Parameters"]
    filled, defaults = set(FILLED[kind]), dict(DEFAULTS[kind])
    if VARIANTS[variant].vpc:
        filled |= {"SubnetId1", "SubnetId2", "SecurityGroupId"}
    if VARIANTS[variant].model_monitor and kind != "quality":
        filled.add("MonitorImageUri")
        defaults.pop("DriftThreshold", None)
    assert {p["Name"] for p in parameters if "DefaultValue" not in p} == filled
    assert {p["Name"]: p["DefaultValue"] for p in parameters if "DefaultValue" in p} == defaults


@pytest.mark.parametrize(("kind", "variant"), OURS)
def test_job_names_begin_with_what_the_role_is_narrowed_to(kind: str, variant: str) -> None:
    # quality runs have the inference role
    role = "train" if kind == "train" else "inference"
    for job in jobs(definition(kind, variant)):
        names = [job["Arguments"][key] for key in JOB_NAMES if key in job["Arguments"]]
        own = [name for name in names if isinstance(name, str)]
        assert len(own) == 1
        assert own[0].startswith(f"mammo-severity-{role}-")


@pytest.mark.parametrize(("kind", "variant"), OURS)
def test_every_volume_and_output_is_encrypted_with_a_key_of_ours(kind: str, variant: str) -> None:
    keys = [get("Parameters.DataKeyArn"), get("Parameters.ArtifactsKeyArn")]
    for job in jobs(definition(kind, variant)):
        arguments, where = job["Arguments"], job["Name"]
        if job["Type"] in ("Processing", "QualityCheck"):
            volume = arguments["ProcessingResources"]["ClusterConfig"]
            output = arguments["ProcessingOutputConfig"]
        elif job["Type"] == "Training":
            volume, output = arguments["ResourceConfig"], arguments["OutputDataConfig"]
        elif job["Type"] == "Transform":
            volume, output = arguments["TransformResources"], arguments["TransformOutput"]
        else:
            continue
        assert volume["VolumeKmsKeyId"] == keys[0], where
        assert output["KmsKeyId"] in keys, where


@pytest.mark.parametrize(("kind", "variant"), OURS)
def test_an_output_goes_to_the_bucket_of_its_key(kind: str, variant: str) -> None:
    owner = {"RunUri": "DataKeyArn", "ArtifactsUri": "ArtifactsKeyArn"}
    for job in jobs(definition(kind, variant)):
        arguments = job["Arguments"]
        if job["Type"] == "Model":
            continue
        config = next(
            arguments[key]
            for key in ("ProcessingOutputConfig", "OutputDataConfig", "TransformOutput")
            if key in arguments
        )
        uris = [output["S3Output"]["S3Uri"] for output in config.get("Outputs", [])] or [
            config["S3OutputPath"]
        ]
        for uri in uris:
            bucket = uri["Std:Join"]["Values"][0]["Get"].removeprefix("Parameters.")
            assert config["KmsKeyId"] == get(f"Parameters.{owner[bucket]}"), job["Name"]
            assert uri["Std:Join"]["Values"][1] == get("Execution.PipelineExecutionId"), job["Name"]


@pytest.mark.parametrize(("kind", "variant"), OURS)
def test_jobs_are_isolated_from_the_network_except_model_monitor_s(kind: str, variant: str) -> None:
    for job in jobs(definition(kind, variant)):
        arguments = job["Arguments"]
        network = arguments.get("NetworkConfig", arguments)
        if job["Type"] == "Transform":  # a transform job has its model's network
            continue
        assert network["EnableNetworkIsolation"] is (job["Type"] != "QualityCheck"), job["Name"]
        if job["Type"] != "Model":
            assert network["EnableInterContainerTrafficEncryption"] is True, job["Name"]


@pytest.mark.parametrize(("kind", "variant"), OURS)
def test_jobs_and_models_run_in_the_subnets_of_a_vpc_variant_and_only_there(kind: str, variant: str) -> None:
    expected = {
        "Subnets": [get("Parameters.SubnetId1"), get("Parameters.SubnetId2")],
        "SecurityGroupIds": [get("Parameters.SecurityGroupId")],
    }
    for job in jobs(definition(kind, variant)):
        if job["Type"] != "Transform":
            network = job["Arguments"].get("NetworkConfig", job["Arguments"])
            assert network.get("VpcConfig") == (expected if VARIANTS[variant].vpc else None), job["Name"]


@pytest.mark.parametrize(("kind", "variant"), OURS)
def test_programs_get_the_code_and_name_every_folder(kind: str, variant: str) -> None:
    for job in jobs(definition(kind, variant)):
        if job["Type"] != "Processing":
            continue
        arguments = job["Arguments"]
        code = arguments["ProcessingInputs"][0]
        assert (code["InputName"], code["S3Input"]["S3Uri"]) == ("code", get("Parameters.CodeUri"))
        assert arguments["Environment"] == {"PYTHONPATH": code["S3Input"]["LocalPath"]}
        assert arguments["AppSpecification"]["ContainerArguments"][:6] == [
            *("--model", "/opt/ml/processing/input/code/model.json"),
            *("--input", "/opt/ml/processing/input"),
            *("--output", "/opt/ml/processing/output"),
        ]
        for held in arguments["ProcessingInputs"]:
            assert held["S3Input"]["LocalPath"] == f"/opt/ml/processing/input/{held['InputName']}"
        for held in arguments["ProcessingOutputConfig"]["Outputs"]:
            assert held["S3Output"]["LocalPath"] == f"/opt/ml/processing/output/{held['OutputName']}"


def test_a_version_carries_its_metrics_baseline_and_origin() -> None:
    version = step(definition("train"), "RegisterModel")["Arguments"]
    assert version["ModelPackageGroupName"] == get("Parameters.ModelPackageGroupArn")
    assert version["ModelApprovalStatus"] == get("Parameters.ModelApprovalStatus")
    baseline = version["DriftCheckBaselines"]["ModelDataQuality"]
    assert version["ModelMetrics"]["ModelDataQuality"] == baseline
    assert set(baseline) == {"Statistics", "Constraints"}
    assert version["ModelMetrics"]["ModelQuality"]["Statistics"]["ContentType"] == "application/json"
    assert set(version["CustomerMetadataProperties"]) == {
        "cv_auc",
        "holdout_auc",
        "champion_version",
        "gain_over_champion",
        "data_rows",
        "data_sha256",
        "code_uri",
        "git_commit",
        "definition_sha256",
        "auc_score_threshold",
        "min_gain_over_champion",
        "execution_arn",
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_version_that_a_run_asks_for_reaches_the_resolver(variant: str) -> None:
    inputs = step(definition("inference", variant), "ResolveModel")["Arguments"]
    assert inputs["model_version_wanted"] == get("Parameters.ModelVersion")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_is_made_of_its_versions_parts_so_that_it_can_be_tried_before_it_is_approved(
    variant: str,
) -> None:
    made = step(definition("inference", variant), "CreateModel")["Arguments"]
    assert made["PrimaryContainer"] == {
        "Image": get("Steps.Mammo-ResolveModel.OutputParameters['image_uri']"),
        "ModelDataUrl": get("Steps.Mammo-ResolveModel.OutputParameters['model_uri']"),
    }


@pytest.mark.parametrize(
    ("kind", "name"), [("inference", "RecordPredictions"), ("quality", "RecordModelQuality")]
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_recorded_of_a_batch_names_code_commit_and_definition(
    variant: str, kind: str, name: str
) -> None:
    inputs = step(definition(kind, variant), name)["Arguments"]
    assert {name: inputs[name] for name in ("code_uri", "git_commit", "definition_sha256")} == {
        "code_uri": get("Parameters.CodeUri"),
        "git_commit": get("Parameters.GitCommit"),
        "definition_sha256": get("Parameters.DefinitionSha256"),
    }


def test_numbers_of_a_version_become_texts_as_the_registry_wants_them() -> None:
    properties = step(definition("train"), "RegisterModel")["Arguments"]["CustomerMetadataProperties"]
    for name in (
        *("cv_auc", "holdout_auc", "gain_over_champion", "data_rows"),
        *("auc_score_threshold", "min_gain_over_champion"),
    ):
        assert list(properties[name]) == ["Std:Join"], name


def test_predictions_carry_the_id_that_the_model_never_sees() -> None:
    transform = step(definition("inference"), "Transform")["Arguments"]
    assert transform["DataProcessing"] == {
        "InputFilter": "$[1:]",
        "JoinSource": "Input",
        "OutputFilter": "$[0,-1]",
    }
    assert transform["TransformOutput"]["S3OutputPath"] == run_uri("RunUri", "predictions")
    assert (transform["TransformOutput"]["Accept"], transform["TransformOutput"]["AssembleWith"]) == (
        "text/csv",
        "Line",
    )


def test_model_monitor_never_fails_a_run_by_itself() -> None:
    check = step(definition("inference", "model-monitor"), "DataQualityCheck")
    assert (check["FailOnViolation"], check["SkipCheck"], check["RegisterNewBaseline"]) == (
        False,
        False,
        False,
    )
    assert check["Arguments"]["AppSpecification"]["ImageUri"] == get("Parameters.MonitorImageUri")


def test_model_monitor_s_baseline_lies_where_ours_would() -> None:
    check = step(definition("train", "model-monitor"), "DataQualityCheck")
    outputs = check["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    assert [held["S3Output"]["S3Uri"] for held in outputs] == [run_uri("ArtifactsUri", "baseline")]
    ours = step(definition("train", "model-monitor"), "Eval")["Arguments"]["ProcessingOutputConfig"][
        "Outputs"
    ]
    assert [held["OutputName"] for held in ours] == ["evaluation"]


@pytest.mark.parametrize(
    ("region", "registry"),
    [
        ("us-east-1", "683313688378.dkr.ecr.us-east-1.amazonaws.com"),
        ("cn-north-1", "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "414596584902.dkr.ecr.us-gov-west-1.amazonaws.com"),
    ],
)
def test_every_partition_has_its_container(region: str, registry: str) -> None:
    assert image_uri(region) == f"{registry}/sagemaker-xgboost:3.2-0"


def test_containers_are_listed_for_all_regions_that_the_sdk_knows() -> None:
    assert len(image_regions()) == 37
    assert image_regions() == sorted(image_regions())
    assert {"eu-central-1", "ap-southeast-4", "us-iso-east-1"} <= set(image_regions())


def test_fails_with_the_known_regions_when_a_region_has_no_container() -> None:
    with pytest.raises(
        ValueError, match=r"xgboost container is not offered in region 'xx-east-1', only in: af-"
    ):
        image_uri("xx-east-1")


def test_fails_when_a_region_has_no_model_monitor() -> None:
    assert "us-gov-west-1" not in monitor_image_regions()
    with pytest.raises(ValueError, match="model-monitor container is not offered in region 'us-gov-west-1'"):
        monitor_image_uri("us-gov-west-1")


def test_fails_when_the_variant_is_unknown() -> None:
    with pytest.raises(ValueError, match=r"variant must be one of default, vpc, .*; got 'public'"):
        load("mammography", "public")


def test_fails_when_a_model_was_not_compiled() -> None:
    with pytest.raises(
        ValueError, match="compiled models: mammography; to compile 'beer' run: make definitions"
    ):
        load("beer")


def test_fails_when_a_model_with_an_id_column_is_to_be_checked_by_model_monitor() -> None:
    with pytest.raises(ValueError, match="'wine' can't be checked by Model Monitor"):
        load("wine", "model-monitor", SECOND / "definitions")
