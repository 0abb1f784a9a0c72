"""What goes with a throw-away model's stack, and the names that keep such a model apart."""

from __future__ import annotations

from typing import Any

import pytest

import cdk_mlops as mlops
from tests.library.library_app import (
    MAMMO,
    REGION,
    add_stage,
    code_folder,
    definition_file,
    new_stack,
    only,
    passing_template,
    statements,
    template_of,
)
from tests.library.policy_audit import findings

TRIAL = mlops.ModelNames(
    prefix="mammo-severity--trial",
    model_name="mammography-severity-model--trial",
    package_group="mammo-severity-model-package--trial",
    job_prefix="mammo-severity--1a2b3c4d",
    data_name="mammography-severity-model",
)


def plain(value: Any) -> Any:
    """Return resources with their partition written out."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return "".join(part if isinstance(part, str) else "aws" for part in value["Fn::Join"][1])


def test_it_may_delete_what_is_the_models_and_nothing_else() -> None:
    found = passing_template()
    assert findings(found) == []
    own = statements(only(found, "AWS::IAM::Role", "Cleanup"))
    assert plain(own["DeleteObjects"]["Resource"]) == (
        f"arn:aws:s3:::sagemaker-mlops-dev-222222222222-{REGION}/mammography-severity-model/*"
    )
    assert own["ListObjects"]["Condition"]["StringLike"]["s3:prefix"] == ["mammography-severity-model/*"]
    assert plain(own["DeleteVersions"]["Resource"]) == (
        f"arn:aws:sagemaker:{REGION}:222222222222:model-package/mammo-severity-model-package/*"
    )
    models = f"arn:aws:sagemaker:{REGION}:222222222222:model/mammo-severity"
    assert plain(own["DeleteModels"]["Resource"]) == [f"{models}-train-*", f"{models}-inference-*"]
    assert own["ListModelsKnowsNoResource"]["Action"] == "sagemaker:ListModels"
    deleting = {name for name, one in own.items() if "Delete" in str(one["Action"])}
    assert deleting == {"DeleteObjects", "DeleteVersions", "DeleteModels", "DeleteLogStreams"}


def test_its_resource_names_what_will_go() -> None:
    properties = only(passing_template(), "Custom::ModelCleanup")
    assert {
        key: value for key, value in properties.items() if key not in ("ServiceToken", "ServiceTimeout")
    } == {
        "Bucket": f"sagemaker-mlops-dev-222222222222-{REGION}",
        "Prefix": "mammography-severity-model/",
        "ModelPackageGroupName": "mammo-severity-model-package",
        "JobPrefix": "mammo-severity",
    }


def test_fails_when_the_stage_cannot_be_one() -> None:
    stack = new_stack()
    data = mlops.StageDataBucket(stack, "Data", stage="dev")
    with pytest.raises(ValueError, match="stage must be"):
        mlops.ModelCleanup(stack, "Cleanup", model=MAMMO, stage="DEV", data_bucket=data)


def test_a_trials_role_runs_jobs_of_its_own_name_and_only_reads_the_others_data() -> None:
    stack = new_stack()
    stage = add_stage(stack, "dev")
    mlops.TrainRole(stack, "Train", model=TRIAL, stage="dev", data_bucket=stage.data, registry=stage.registry)
    own = statements(only(template_of(stack), "AWS::IAM::Role", "Train"))
    jobs = f"arn:aws:sagemaker:{REGION}:222222222222"
    assert plain(own["OwnJobs"]["Resource"]) == [
        f"{jobs}:{kind}-job/mammo-severity--1a2b3c4d-train-*" for kind in ("processing", "training")
    ]
    data = f"arn:aws:s3:::sagemaker-mlops-dev-222222222222-{REGION}"
    assert f"{data}/mammography-severity-model/data/*" in plain(own["DataRead"]["Resource"])
    assert plain(own["RunWrite"]["Resource"]) == f"{data}/mammography-severity-model--trial/train/*"


@pytest.mark.parametrize(
    ("prop", "value"), [("job_prefix", "Mammo"), ("job_prefix", "m" * 33), ("data_name", "a/b")]
)
def test_fails_when_a_trials_name_cannot_be_one(prop: str, value: str) -> None:
    names = {"prefix": "mammo", "model_name": "mammo", "package_group": "mammo"}
    with pytest.raises(ValueError, match=f"{prop} must be"):
        mlops.ModelNames(**names, **{prop: value})


def test_new_names_of_jobs_reach_the_custom_resource_only_where_they_are_given() -> None:
    stack = new_stack()
    stage = add_stage(stack, "dev")
    role = mlops.TrainRole(
        stack, "Role", model=TRIAL, stage="dev", data_bucket=stage.data, registry=stage.registry
    )
    resolver = mlops.ModelResolver(
        stack, "Resolver", model=TRIAL, stage="dev", data_bucket=stage.data, registry=stage.registry
    )
    for name, renames in (("One", {"mammo-severity": TRIAL.jobs}), ("Two", None)):
        mlops.SageMakerPipeline(
            stack,
            name,
            pipeline_name=name,
            stage="dev",
            definition=definition_file(),
            role=role.role,
            parameter_defaults={"RunUri": "s3://x/y"},
            functions={"ModelResolver": resolver.function},
            code=code_folder(),
            code_bucket=stage.data,
            code_prefix="x/scripts",
            rename_jobs=renames,
        )
    found = template_of(stack)
    one, two = (only(found, "Custom::SageMakerPipeline", name) for name in ("One", "Two"))
    assert one["RenameJobs"] == {"mammo-severity": "mammo-severity--1a2b3c4d"}
    assert "RenameJobs" not in two


def test_a_people_role_of_a_trial_has_its_name_and_reads_what_is_named() -> None:
    stack = new_stack()
    data = mlops.StageDataBucket(stack, "Data", stage="dev")
    mlops.DataScientistRole(
        stack,
        "People",
        stage="dev",
        principals=["arn:aws:iam::222222222222:user/ada"],
        data_bucket=data,
        prefix="mlops--trial",
        readable=["trial/*"],
    )
    found = template_of(stack)
    role = only(found, "AWS::IAM::Role")
    assert (role["Path"], role["RoleName"]) == (
        "/mlops/dev/data-scientist/",
        "mlops--trial-dev-data-scientist",
    )
    policy = only(found, "AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    (read,) = (one for one in policy if one["Action"] == "s3:GetObject")
    assert plain(read["Resource"]).endswith("/trial/*")
