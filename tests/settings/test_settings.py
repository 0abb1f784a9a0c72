"""A mistake in the settings is one line with the setting, the value and the fix; right ones mean what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stacks.section import SettingsError
from stacks.settings import commit, load

ROOT = Path(__file__).resolve().parents[2]

MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"accounts": {"dev": "12345"}}, ["mlops.accounts.dev", "12-digit", "'12345'"]),
    ({"accounts": {"dev": 111111111111}}, ["mlops.accounts.dev", "in quotes", "111111111111"]),
    ({"region": "us-eats-1"}, ["mlops.region", "'us-eats-1'", "us-east-1"]),
    ({"email": "nobody"}, ["mlops.email", "e-mail", "'nobody'"]),
    (
        {"schedule": {"expression": "0 23 * * *"}},
        ["mlops.schedule.expression", "cron(0 23 * * ? *)", "'0 23 * * *'"],
    ),
    (
        {"schedule": {"expression": "cron(0 23 * *)"}},
        ["mlops.schedule.expression", "six", "'cron(0 23 * *)'"],
    ),
    (
        {"schedule": {"time_zone": "Europe/Berln"}},
        ["mlops.schedule.time_zone", "'Europe/Berln'", "Europe/Berlin"],
    ),
    ({"schedule": {"flexible_minutes": 2000}}, ["mlops.schedule.flexible_minutes", "1440", "2000"]),
    ({"thresholds": {"auc": 1.2}}, ["mlops.thresholds.auc", "0.5 to 1", "1.2"]),
    ({"thresholds": {"auc": "high"}}, ["mlops.thresholds.auc", "number", "'high'"]),
    ({"thresholds": {"champion_margin": -0.1}}, ["mlops.thresholds.champion_margin", "-0.1"]),
    ({"models": [{"folder": "mammography"}] * 2}, ["mlops.models", "'mammography'", "twice"]),
    ({"models": [{"folder": "mamography"}]}, ["folder", "'mamography'", "did you mean 'mammography'"]),
    ({"models": []}, ["mlops.models", "at least one"]),
    ({"models": {"folder": "mammography"}}, ["mlops.models", "list"]),
    ({"modles": []}, ["mlops.modles", "did you mean 'models'"]),
    ({"accounts": {"test": "111111111111"}}, ["mlops.accounts.test", "not a setting"]),
    ({"monitor": "modelmonitor"}, ["mlops.monitor", "'modelmonitor'", "model-monitor"]),
    ({"retrain_on": "always"}, ["mlops.retrain_on", "'always'", "any_failure"]),
    ({"people": {"approvers": ["alice"]}}, ["mlops.people.approvers", "ARN", "'alice'"]),
    ({"people": {"require_mfa": "yes"}}, ["mlops.people.require_mfa", "true or false", "'yes'"]),
    (
        {"network": {"dev": {"subnets": ["subnet-0123456a"], "security_group": "sg-0123456c"}}},
        ["mlops.network.dev.subnets", "two"],
    ),
    (
        {
            "network": {
                "dev": {"subnets": ["subnet-0123456a", "subnet-0123456b"], "security_group": "sg-0123456c"}
            }
        },
        ["mlops.network", "prod too"],
    ),
    (
        {"network": {"dev": {"subnets": ["subnet-1", "subnet-0123456b"], "security_group": "sg-1"}}},
        ["mlops.network.dev.subnets", "'subnet-1'", "such as subnet-0123456789abcdef0"],
    ),
    (
        {"network": {"dev": {"subnets": ["subnet-0123456a", "subnet-0123456b"], "security_group": "sg-1"}}},
        ["mlops.network.dev.security_group", "'sg-1'"],
    ),
    ({"network": {"create": "yes"}}, ["mlops.network.create", "true or false", "'yes'"]),
    (
        {
            "network": {
                "create": True,
                "dev": {"subnets": ["subnet-0123456a", "subnet-0123456b"], "security_group": "sg-0123456c"},
            }
        },
        ["mlops.network.create", "dev has one named", "one or the other"],
    ),
    (
        {"network": {"create": True, "interface_endpoints": ["log"]}},
        ["mlops.network.interface_endpoints", "'log'", "did you mean 'logs'"],
    ),
    (
        {"network": {"create": True, "s3_prefix_list": "s3"}},
        ["mlops.network.s3_prefix_list", "such as pl-63a5400a", "'s3'"],
    ),
    ({"network": {"interface_endpoints": ["logs"]}}, ["mlops.network.interface_endpoints", "create to true"]),
    ({"network": {"s3_prefix_list": "pl-63a5400a"}}, ["mlops.network.s3_prefix_list", "create to true"]),
    (
        {"delivery": {"repository": "a/b", "connection_arn": "arn:nope"}},
        ["mlops.delivery.connection_arn", "CodeConnections"],
    ),
    ({"delivery": {"by": "hudson"}}, ["mlops.delivery.by", "'hudson'", "jenkins"]),
    ({"delivery": {"by": "github"}}, ["mlops.delivery.repository", "owner/repository"]),
    ({"delivery": {"repository": "a/b"}}, ["mlops.delivery.connection_arn", "CodeConnections"]),
    ({"delivery": {"by": "jenkins"}}, ["mlops.delivery.jenkins_principals", "jenkins"]),
    (
        {"delivery": {"by": "github", "repository": "a/b", "approve_versions": True}},
        ["mlops.delivery.approve_versions", "mlops.accounts.staging"],
    ),
    (
        {
            "accounts": {"staging": "444444444444"},
            "delivery": {"by": "github", "repository": "a/b", "approve_versions": True},
        },
        ["mlops.delivery.approve_versions", "codepipeline"],
    ),
    (
        {
            "accounts": {"staging": "444444444444"},
            "network": {
                s: {"subnets": ["subnet-0123456a", "subnet-0123456b"], "security_group": "sg-0123456c"}
                for s in ("dev", "prod")
            },
        },
        ["mlops.network", "dev and prod only", "staging too"],
    ),
    ({"accounts": {"staging": ""}}, ["mlops.accounts.staging", "12-digit"]),
    ({"reminder_days": 0}, ["mlops.reminder_days", "1 to 30"]),
]


@pytest.mark.parametrize(("values", "words"), MISTAKES, ids=lambda value: json.dumps(value)[:50])
def test_a_mistake_is_named_with_its_value_and_the_fix(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as error:
        load(values)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_an_empty_object_is_a_whole_installation() -> None:
    settings = load({})
    assert settings.region == "us-east-1"
    assert settings.variant == "default"
    assert settings.people.approvers == ()
    assert [model.prefix for model in settings.models] == ["mammo-severity"]


def test_names_are_those_of_the_blog() -> None:
    settings = load({})
    model = settings.models[0]
    assert settings.stage("dev").pipeline_name(model, "train") == "mammo-severity-train-pipeline"
    assert settings.stage("prod").pipeline_name(model, "inference") == "mammo-severity-inference-pipeline"
    assert model.model_package_group == "mammo-severity-model-package"
    assert model.model_name == "mammography-severity-model"
    assert settings.alert_topic_name == "mammography-model-notification"
    assert model.schedule.expression == "cron(0 23 * * ? *)"


def test_names_carry_the_stage_where_stages_share_an_account() -> None:
    settings = load({"accounts": {"dev": "111111111111", "prod": "111111111111"}})
    model = settings.models[0]
    names = {settings.stage(stage).pipeline_name(model, "train") for stage in settings.stages}
    assert names == {"mammo-severity-dev-train-pipeline", "mammo-severity-prod-train-pipeline"}
    assert len({settings.stage(stage).notification_topic_name for stage in settings.stages}) == 2


def test_there_is_a_staging_where_its_account_is_named() -> None:
    assert load({}).stages == ("dev", "prod")
    settings = load({"accounts": {"staging": "444444444444"}})
    assert settings.stages == ("dev", "staging", "prod")
    assert settings.checker_role_arn("staging").startswith(
        "arn:aws:iam::444444444444:role/mlops/staging/checker/"
    )
    assert (
        settings.topic_arn("staging") == "arn:aws:sns:us-east-1:444444444444:mammography-model-notification"
    )


def test_a_stage_that_is_not_there_is_one_line_with_the_fix() -> None:
    with pytest.raises(SettingsError, match=r"mlops\.accounts\.staging"):
        load({}).known_stage("staging")
    with pytest.raises(SettingsError, match="STAGE must be dev or prod, got 'test'"):
        load({}).known_stage("test")


def test_staging_beside_prod_in_one_account_has_names_of_its_own() -> None:
    settings = load({"accounts": {"staging": "222222222222"}})
    model = settings.models[0]
    names = {settings.stage(stage).pipeline_name(model, "inference") for stage in settings.stages}
    assert names == {
        "mammo-severity-inference-pipeline",
        "mammo-severity-staging-inference-pipeline",
        "mammo-severity-prod-inference-pipeline",
    }


def test_each_system_needs_what_it_uses_and_no_more() -> None:
    by_github = load({"delivery": {"by": "github", "repository": "a/b"}}).delivery
    assert by_github is not None
    assert by_github.connection_arn == ""
    principal = "arn:aws:iam::555555555555:role/jenkins"
    by_jenkins = load({"delivery": {"by": "jenkins", "jenkins_principals": [principal]}}).delivery
    assert by_jenkins is not None
    assert by_jenkins.jenkins_principals == (principal,)


def test_a_models_own_schedule_and_thresholds_win_over_the_shared_ones() -> None:
    own = {"folder": "mammography", "schedule": {"time_zone": "Asia/Tokyo"}, "thresholds": {"auc": 0.9}}
    settings = load(
        {"schedule": {"expression": "rate(1 day)"}, "thresholds": {"drift": 0.2}, "models": [own]}
    )
    model = settings.models[0]
    assert (model.schedule.expression, model.schedule.time_zone) == ("rate(1 day)", "Asia/Tokyo")
    assert (model.thresholds.auc, model.thresholds.drift) == (0.9, 0.2)


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_a_region_brings_its_partition(region: str, partition: str) -> None:
    settings = load({"region": region})
    assert settings.partition == partition
    assert settings.approver_role_arn.startswith(f"arn:{partition}:iam::333333333333:role/")
    assert region in settings.image_uri


@pytest.mark.parametrize(
    ("values", "variant"),
    [
        ({}, "default"),
        ({"monitor": "model-monitor"}, "model-monitor"),
        (
            {
                "network": {
                    s: {"subnets": ["subnet-0123456a", "subnet-0123456b"], "security_group": "sg-0123456c"}
                    for s in ("dev", "prod")
                }
            },
            "vpc",
        ),
        ({"network": {"create": True}}, "vpc"),
        ({"network": {"create": True}, "monitor": "model-monitor"}, "model-monitor-vpc"),
        ({"network": {"create": False}}, "default"),
    ],
)
def test_settings_choose_the_compiled_variant(values: dict[str, Any], variant: str) -> None:
    assert load(values).variant == variant


@pytest.mark.parametrize("command", [["app.py"], ["-m", "ops", "versions"]], ids=["app", "command"])
def test_a_mistake_ends_the_program_with_one_line_and_no_trace(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"accounts": {"dev": "12345"}}))
    environment = os.environ | {"MLOPS_SETTINGS": str(tmp_path / "settings.json")}
    run = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert "mlops.accounts.dev" in run.stderr
    assert "Traceback" not in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_a_settings_file_that_does_not_exist_or_parse_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_SETTINGS", str(tmp_path / "gone.json"))
    with pytest.raises(SettingsError, match=r"gone\.json.*doesn't exist"):
        load()
    (tmp_path / "bad.json").write_text("{")
    monkeypatch.setenv("MLOPS_SETTINGS", str(tmp_path / "bad.json"))
    with pytest.raises(SettingsError, match=r"bad\.json is not valid JSON"):
        load()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "a" * 40 + "\n"}, "a" * 40),
        (
            {
                "HEAD": "ref: refs/heads/main\n",
                "packed-refs": f"# pack-refs with: peeled\n{'b' * 40} refs/heads/main-2\n{'c' * 40} refs/heads/main\n",
            },
            "c" * 40,
        ),
        ({"HEAD": "d" * 40 + "\n"}, "d" * 40),
        ({"HEAD": "ref: refs/heads/main\n"}, "unknown"),
        ({}, "unknown"),
    ],
    ids=["branch", "packed branch", "no branch", "no commit yet", "no clone"],
)
def test_the_commit_of_the_clone_is_found(
    files: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr("stacks.settings.ROOT", tmp_path)
    for variable in ("GIT_COMMIT", "CODEBUILD_RESOLVED_SOURCE_VERSION"):
        monkeypatch.delenv(variable, raising=False)
    assert commit() == expected


def test_a_misspelled_section_of_cdk_json_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cdk.json").write_text(json.dumps({"context": {"mlop": {}}}))
    monkeypatch.setattr("stacks.settings.ROOT", tmp_path)
    with pytest.raises(SettingsError, match=r'no "mlops" under "context" \(did you mean \'mlop\'\?\)'):
        load()


def test_a_schedule_that_only_the_library_can_judge_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"schedule": {"expression": "cron(0 25 * * ? *)"}}))
    environment = os.environ | {
        "MLOPS_SETTINGS": str(tmp_path / "settings.json"),
        "CDK_OUTDIR": str(tmp_path / "out"),
    }
    run = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 1
    (line,) = run.stderr.strip().splitlines()
    assert "mlops.schedule of mammography" in line
    assert "'25'" in line


def test_swapped_letters_lead_to_the_region_that_was_meant() -> None:
    with pytest.raises(SettingsError, match="did you mean 'us-east-1'"):
        load({"region": "us-esat-1"})


def test_the_app_needs_no_node_but_its_own(tmp_path: Path) -> None:
    environment = {
        "PATH": str(tmp_path),
        "HOME": str(tmp_path),
        "CDK_OUTDIR": str(tmp_path / "out"),
        "CDK_VALIDATION": "false",
    }
    run = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert (tmp_path / "out" / "ProdStack.template.json").exists()


def test_how_often_a_batch_must_have_drifted_is_what_model_yaml_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load({}).models[0].retrain_after == (1, 1)
    compiled = tmp_path / "definitions"
    shutil.copytree(ROOT / "pipeline_code" / "definitions", compiled)
    described = json.loads((compiled / "mammography" / "model.json").read_text())
    described["monitor"]["retrain_after"] = {"drifted": 2, "of": 3}
    (compiled / "mammography" / "model.json").write_text(json.dumps(described))
    monkeypatch.setenv("MLOPS_DEFINITIONS", str(compiled))

    assert load({"models": [{"folder": "mammography"}]}).models[0].retrain_after == (2, 3)
