"""A feature branch's stack: alone in its app, in dev only, and apart from main's and from other branches'."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ops.iam.templates import Template
from stacks.branch import Branch
from stacks.installation import PIPELINE_KINDS, Model, Settings
from stacks.section import SettingsError
from stacks.settings import load
from tests.fixtures.trees import two_models
from tests.library.policy_audit import as_list, findings, identity_statements
from tests.stacks.installations import SETTINGS, assembly, resources, synthesized, template

TREES = "feature/faster-trees"
# Beginnings of each other, and words that tell kinds of jobs apart.
NASTY = ["a", "a-b", "a/b", "A", "a-train-b", "train", "train/x", "inference", "dev", "a" * 60]
PEOPLE = SETTINGS["default"] | {"people": {"data_scientists": ["arn:aws:iam::111111111111:user/ada"]}}


@cache
def branch_template(name: str = TREES) -> dict[str, Any]:
    return dict(synthesized(PEOPLE, branch=name).get_stack_artifact("DevStack").template)


def main_model() -> Model:
    return load(PEOPLE).models[0]


# --- the app


def test_the_command_for_dev_selects_the_branch_and_there_is_nothing_else_to_deploy() -> None:
    found = synthesized(SETTINGS["full"], branch=TREES)
    (stack,) = found.stacks_recursively
    assert (stack.hierarchical_id, stack.stack_name) == ("DevStack", "DevStack-feature-faster-trees")
    assert stack.environment.account == "111111111111"
    assert stack.tags == {"mlops:branch": TREES}


@pytest.mark.parametrize("name", ["", " ", "/", "--", "ü", 7])
def test_a_bad_name_is_one_line(name: object) -> None:
    with pytest.raises(SettingsError, match="branch must name a feature branch") as error:
        synthesized(SETTINGS["default"], branch=name)
    assert repr(name) in str(error.value)
    assert "\n" not in str(error.value)


# --- names


def names(settings: Settings, branch: Branch) -> list[str]:
    models = branch.settings(settings).models
    own = [branch.stack_name, branch.people_prefix]
    for model in models:
        assert model.branch_of is not None
        own += [model.prefix, model.model_name, model.model_package_group, model.branch_of.job_prefix]
    return own


def test_branches_share_no_name_with_each_other_or_with_main() -> None:
    settings = load(SETTINGS["default"])
    main = settings.models[0]
    everything = [main.prefix, main.model_name, main.model_package_group]
    for name in NASTY:
        everything += names(settings, Branch(name))
    assert sorted(everything) == sorted(set(everything))


@pytest.mark.parametrize("name", ["x", TREES, "a" * 39, "a" * 41, "release/2026.11"])
def test_names_fit_where_they_go(name: str) -> None:
    for prefix, long in (("mammo-severity", "mammography-severity-model"), ("p" * 24, "n" * 63)):
        model = replace_names(main_model(), prefix, long)
        found, branch = Branch(name).model(model), Branch(name)
        assert found.branch_of is not None
        assert len(found.prefix) <= 32  # + -dev- + the longest purpose is a role's 64
        assert found.prefix.startswith(f"{prefix}--")  # permissions to deploy are narrowed to `<prefix>-*`
        assert max(len(found.model_name), len(found.model_package_group)) <= 63
        assert len(f"{found.branch_of.job_prefix}-inference-") < 37  # what SageMaker leaves of a job's name
        assert len(f"{branch.people_prefix}-dev-data-scientist") <= 64
        assert re.fullmatch(r"DevStack-[a-z0-9-]{1,40}", branch.stack_name)


def test_two_models_whose_names_are_cut_alike_stay_two() -> None:
    branch, models = Branch("x" * 50), [main_model()]
    models = [replace_names(models[0], f"{'p' * 23}{end}", f"{'n' * 62}{end}") for end in "12"]
    first, second = (branch.model(model) for model in models)
    for name in ("prefix", "model_name", "model_package_group", "branch_of"):
        assert getattr(first, name) != getattr(second, name)


def replace_names(model: Model, prefix: str, name: str) -> Model:
    return replace(model, prefix=prefix, model_name=name, model_package_group=name)


def test_nothing_that_has_a_name_in_main_has_it_in_the_branch() -> None:
    keys = ("RoleName", "FunctionName", "PipelineName", "LogGroupName", "ModelPackageGroupName", "AlarmName")
    named = {
        which: {
            f"{key} {one['Properties'][key]}"
            for one in found["Resources"].values()
            for key in keys
            if key in one.get("Properties", {})
        }
        for which, found in (("main", template("default", "DevStack")), ("branch", branch_template()))
    }
    assert len(named["branch"]) >= 16
    assert named["main"] & named["branch"] == set()


# --- what it is made of


def test_it_lies_in_dev_and_knows_no_other_account() -> None:
    text = json.dumps(branch_template())
    assert "111111111111" in text
    for account in ("222222222222", "333333333333"):
        assert account not in text


def test_no_policy_is_wider_than_its_reason() -> None:
    assert findings(branch_template()) == []


def test_it_runs_the_bytes_that_main_runs() -> None:
    def pipelines(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {p["Tags"]["mlops:kind"]: p for p in resources(found, "Custom::SageMakerPipeline").values()}

    main, branch = pipelines(template("default", "DevStack")), pipelines(branch_template())
    for kind in PIPELINE_KINDS:
        for key in ("DefinitionKey", "CodeHash", "CodeKey"):
            assert branch[kind][key] == main[kind][key]
        assert branch[kind]["Tags"]["mlops:definition"] == main[kind]["Tags"]["mlops:definition"]
        assert set(branch[kind]["ParameterDefaults"]) == set(main[kind]["ParameterDefaults"])


def test_it_reads_mains_data_and_writes_below_its_own_prefix() -> None:
    data = "s3://sagemaker-mlops-dev-111111111111-us-east-1"
    own = f"{data}/mammography-severity-model--feature-faster-trees"
    pipelines = {
        p["Tags"]["mlops:kind"]: p["ParameterDefaults"]
        for p in resources(branch_template(), "Custom::SageMakerPipeline").values()
    }
    train, inference = pipelines["train"], pipelines["inference"]
    assert train["InputDataUrl"] == f"{data}/mammography-severity-model/data/train-dataset/"
    assert inference["transform_input"].startswith(f"{data}/mammography-severity-model/data/batch-dataset/")
    truths = f"{data}/mammography-severity-model/data/ground-truth/"
    assert (pipelines["quality"]["ground_truth_input"], pipelines["quality"]["RunUri"]) == (
        truths,
        f"{own}/quality",
    )
    assert (train["RunUri"], train["ArtifactsUri"]) == (f"{own}/train", f"{own}/dev")
    key = "arn:aws:kms:us-east-1:111111111111:alias/mlops-dev-data"
    assert {train["DataKeyArn"], train["ArtifactsKeyArn"], inference["DataKeyArn"]} == {key}
    group = "111111111111:model-package-group/mammo-severity-model-package--feature-faster-trees"
    groups = {train["ModelPackageGroupArn"], inference["ModelPackageGroupArn"]}
    assert groups == {f"arn:aws:sagemaker:us-east-1:{group}"}


def test_all_of_it_goes_with_the_stack_and_in_an_order_that_works() -> None:
    found = branch_template()["Resources"]
    kept = [key for key, one in found.items() if one.get("DeletionPolicy", "Delete") != "Delete"]
    assert kept == []
    (group,) = (key for key, one in found.items() if one["Type"] == "AWS::SageMaker::ModelPackageGroup")
    (cleanup,) = (key for key, one in found.items() if one["Type"] == "Custom::ModelCleanup")
    assert group in found[cleanup]["DependsOn"]
    writers = ("Custom::SageMakerPipeline", "AWS::Lambda::Function")
    others = [key for key, one in found.items() if one["Type"] in writers and "Cleanup" not in key]
    assert len(others) == 6
    assert all(cleanup in found[key]["DependsOn"] for key in others)


def test_people_get_a_role_only_where_the_settings_name_them() -> None:
    def people(found: Mapping[str, Any]) -> list[str]:
        roles = resources(dict(found), "AWS::IAM::Role").values()
        return [role["RoleName"] for role in roles if role["Path"].endswith("/data-scientist/")]

    alone = synthesized(SETTINGS["default"], branch=TREES).get_stack_artifact("DevStack").template
    assert people(alone) == []
    assert people(branch_template()) == ["mlops--feature-faster-trees-dev-data-scientist"]
    role = Branch(TREES).people_role_arn(load(PEOPLE))
    assert role.endswith(":role/mlops/dev/data-scientist/mlops--feature-faster-trees-dev-data-scientist")


def test_nobody_is_mailed_of_a_branchs_runs() -> None:
    patterns = [
        one["EventPattern"]["detail"]
        for one in resources(template("default", "DevStack"), "AWS::Events::Rule").values()
        if "detail" in one.get("EventPattern", {})
    ]
    (ended,) = (one["pipelineExecutionArn"] for one in patterns if "pipelineExecutionArn" in one)
    (delivered,) = (one["pipelineName"] for one in patterns if "pipelineName" in one)
    stage, main = load(PEOPLE).stage("dev"), main_model()
    for excluded, prefix, suffix in (
        (ended, "arn:aws:sagemaker:us-east-1:111111111111:pipeline/", "/execution/abc"),
        (delivered, "", ""),
    ):
        ((pattern,),) = (one["anything-but"]["wildcard"] for one in excluded)
        for name in NASTY:
            pipeline = stage.pipeline_name(Branch(name).model(main), "train")
            assert fnmatchcase(f"{prefix}{pipeline}{suffix}", pattern)
        assert not fnmatchcase(f"{prefix}{stage.pipeline_name(main, 'train')}{suffix}", pattern)
    assert "anything-but" not in json.dumps(template("default", "ProdStack"))
    # in one account prod's rule hears of dev's runs too
    assert json.dumps(template("one-account", "ProdStack")).count("anything-but") == 2


# --- permissions


@dataclass(frozen=True)
class Call:
    """Something that might be done to what is somebody's."""

    action: str
    resource: str
    listed: str = ""

    def allowed_by(self, statement: Mapping[str, Any]) -> bool:
        actions, wanted = as_list(statement["Action"]), as_list(statement["Resource"])
        if statement["Effect"] != "Allow" or not any(fnmatchcase(self.action, one) for one in actions):
            return False
        if not any(fnmatchcase(self.resource, one) for one in wanted):
            return False
        prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        return not self.listed or prefixes is None or any(fnmatchcase(self.listed, one) for one in prefixes)


def belongings(model: Model) -> Iterator[Call]:
    """Yield what may be done to a model's own in dev; its data, which branches read, aside."""
    stage = load(PEOPLE).stage("dev")
    here = "us-east-1:111111111111"
    jobs = model.prefix if model.branch_of is None else model.branch_of.job_prefix
    sagemaker, logs = f"arn:aws:sagemaker:{here}", f"arn:aws:logs:{here}:log-group"
    for kind, job in itertools.product(("train", "inference"), ("Training", "Processing", "Transform")):
        name = f"{jobs}-{kind}-some-step-abcdefghijkl-0123456789"
        for verb in ("Create", "Stop"):
            yield Call(f"sagemaker:{verb}{job}Job", f"{sagemaker}:{job.lower()}-job/{name}")
        for action in ("PutLogEvents", "DeleteLogStream"):
            yield Call(f"logs:{action}", f"{logs}:/aws/sagemaker/{job}Jobs:log-stream:{name}/algo-1")
    for verb in ("Create", "Delete"):
        yield Call(f"sagemaker:{verb}Model", f"{sagemaker}:model/{jobs}-inference-create-model-abcdefghijkl")
    for verb in ("Create", "Update", "Delete", "Describe"):
        yield Call(
            f"sagemaker:{verb}ModelPackage", f"{sagemaker}:model-package/{model.model_package_group}/1"
        )
    for kind in PIPELINE_KINDS:
        pipeline = f"{sagemaker}:pipeline/{model.prefix}-{kind}-pipeline"
        for verb in ("StartPipelineExecution", "UpdatePipeline", "DeletePipeline"):
            yield Call(f"sagemaker:{verb}", pipeline)
        yield Call("sagemaker:StopPipelineExecution", f"{pipeline}/execution/abcdefghijkl")
    for train_or_inference in ("train", "inference"):
        purpose = f"role/mlops/dev/{train_or_inference}/{model.prefix}-dev-{train_or_inference}"
        yield Call("iam:PassRole", f"arn:aws:iam::111111111111:{purpose}")
    for name in ("model-resolver", "run-recorder", "pipeline-provider"):
        function = f"{model.prefix}-dev-{name}"
        yield Call("lambda:InvokeFunction", f"arn:aws:lambda:{here}:function:{function}")
        yield Call("logs:PutLogEvents", f"{logs}:/aws/lambda/{function}:log-stream:x")
    bucket = f"arn:aws:s3:::{stage.data_bucket_name}"
    for folder in ("train", "inference", "quality", "scripts", "state/scored", "dev", "checks"):
        for verb in ("Get", "Put", "Delete"):
            yield Call(f"s3:{verb}Object", f"{bucket}/{model.model_name}/{folder}/abcdefghijkl/x")
        yield Call("s3:DeleteObjectVersion", f"{bucket}/{model.model_name}/{folder}/abcdefghijkl/x")
        for action in ("ListBucket", "ListBucketVersions"):
            yield Call(f"s3:{action}", bucket, listed=f"{model.model_name}/{folder}/")
    yield Call("s3:PutObject", f"{bucket}/{model.model_name}/data/train-dataset/x.csv")


def own_roles(found: Mapping[str, Any], stack: str) -> dict[str, list[Mapping[str, Any]]]:
    """Return the statements of each role that is one model's or one branch's, not the stage's."""
    read = Template(found, stack=stack, account="111111111111", region="us-east-1")
    statements: dict[str, list[Mapping[str, Any]]] = {
        one["Properties"]["RoleName"]: list(identity_statements(one["Type"], one["Properties"]))
        for one in read.resources.values()
        if one["Type"] == "AWS::IAM::Role"
    }
    for one in read.resources.values():
        if one["Type"] == "AWS::IAM::Policy":
            for name in one["Properties"]["Roles"]:
                statements[name] += identity_statements(one["Type"], one["Properties"])
    return {name: rules for name, rules in statements.items() if not name.startswith("mlops-dev-")}


def reached(roles: Mapping[str, list[Mapping[str, Any]]], model: Model) -> list[str]:
    return [
        f"{role}: {call}"
        for role, statements in roles.items()
        for call in belongings(model)
        if any(call.allowed_by(statement) for statement in statements)
    ]


PARTIES = ["main", "a", "a-b", "a-train-b", "train"]


@cache
def main_template() -> dict[str, Any]:
    return dict(synthesized(PEOPLE).get_stack_artifact("DevStack").template)


@cache
def party(name: str) -> tuple[dict[str, list[Mapping[str, Any]]], Model]:
    if name == "main":
        return own_roles(main_template(), "DevStack"), main_model()
    return own_roles(branch_template(name), Branch(name).stack_name), Branch(name).model(main_model())


@pytest.mark.parametrize(("mine", "others"), list(itertools.permutations(PARTIES, 2)))
def test_no_role_reaches_what_is_another_branchs_or_mains(mine: str, others: str) -> None:
    assert reached(party(mine)[0], party(others)[1]) == []


@pytest.mark.parametrize("name", PARTIES[1:])
def test_each_of_these_calls_is_allowed_to_a_role_of_whom_it_belongs_to(name: str) -> None:
    """Else nothing could be reached because the calls are wrong."""
    roles, model = party(name)
    statements = [statement for rules in roles.values() for statement in rules]
    calls = list(belongings(model))
    allowed = {call.action for call in calls if any(call.allowed_by(one) for one in statements)}
    assert {call.action for call in calls} == allowed


def test_a_branch_of_two_models_has_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_DEFINITIONS", str(two_models(tmp_path)))
    found = synthesized({}, branch="x").get_stack_artifact("DevStack").template
    assert len(resources(found, "Custom::ModelCleanup")) == 2
    assert len(resources(found, "Custom::SageMakerPipeline")) == 6
    renamed = [p["RenameJobs"] for p in resources(found, "Custom::SageMakerPipeline").values()]
    assert {old for names in renamed for old in names} == {"mammo-severity", "wine-quality"}
    assert findings(found) == []


def test_the_installation_of_main_is_not_changed_by_there_being_branches() -> None:
    assert {stack.stack_name for stack in assembly("default").stacks} == {
        "RegistryStack",
        "DevStack",
        "ProdStack",
    }


@pytest.mark.parametrize("installation", ["full", "model-monitor", "one-account", "elsewhere"])
def test_a_branch_of_any_installation_synthesizes_with_narrow_policies(installation: str) -> None:
    found = synthesized(SETTINGS[installation], branch=TREES).get_stack_artifact("DevStack")
    assert findings(found.template) == []
    train, *_ = resources(found.template, "Custom::SageMakerPipeline").values()
    shared = "-dev" if installation == "one-account" else ""
    assert train["PipelineName"].startswith(f"mammo-severity--feature-f-5a33e0{shared}-")


def test_whoever_may_deploy_dev_may_deploy_a_branch() -> None:
    """`make bootstrap-help` narrows deployments to the types of resources that dev's account has."""
    dev, branch = (
        {one["Type"] for one in found["Resources"].values()} for found in (main_template(), branch_template())
    )
    assert branch - dev == {"AWS::SageMaker::ModelPackageGroup", "Custom::ModelCleanup"}
