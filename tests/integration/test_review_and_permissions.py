"""`make permissions` and `make review` against what is deployed: nothing changed, then something did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_cloud.keeper import write_profiles
from tests.integration.conftest import PEOPLE
from tests.integration.loop import Loop
from tests.stacks.installations import synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

ROOT = Path(__file__).resolve().parents[2]
WIDER: dict[str, Any] = {
    "models": [{"folder": "mammography"}],
    "email": "ml-team@example.com",
    "people": {
        "approvers": ["arn:aws:iam::333333333333:user/alice"],
        "data_scientists": ["arn:aws:iam::111111111111:user/ada"],
        "operators": ["arn:aws:iam::222222222222:user/grace", "arn:aws:iam::222222222222:user/joan"],
    },
    "thresholds": {"auc": 0.9},
}

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def make(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A person with one profile an account, who may do all."""
    folder = tmp_path_factory.mktemp("desk")
    profiles = {f"mlops-{name}": account for name, account in loop.settings.accounts.items()}
    write_profiles(folder / "config", loop.cloud, loop.region, profiles)
    (folder / "settings.json").write_text(json.dumps(PEOPLE))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLOPS_"))}
    env = kept | {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLOPS_SETTINGS": str(folder / "settings.json"),
        "GIT_COMMIT": "0" * 40,
    }

    def run(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ops", command],
            cwd=ROOT,
            env=env | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_nothing_widens_where_the_same_is_deployed_again(loop: Loop, make: Make) -> None:
    done = make("permissions", STAGES="registry dev prod", ASSEMBLY=synthesized(loop.values).directory)
    assert (done.returncode, done.stdout, done.stderr) == (0, "registry, dev, prod: nothing widens\n", "")


def test_one_more_operator_is_the_one_line_that_widens(make: Make) -> None:
    done = make("permissions", STAGES="registry dev prod", ASSEMBLY=synthesized(WIDER).directory)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines() == [
        "ProdStack: role mlops-prod-operator can now be assumed by arn:aws:iam::222222222222:user/joan"
        " if aws:MultiFactorAuthPresent Bool true"
    ]


def test_a_review_of_the_same_says_that_nothing_differs(loop: Loop, make: Make) -> None:
    done = make("review", STAGE="prod", ASSEMBLY=synthesized(loop.values).directory)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mammo-severity-inference-pipeline keeps its definition; its code stays." in done.stdout
    assert "No permission widens." in done.stdout
    assert "No resource changes." in done.stdout


def test_a_review_shows_versions_definitions_permissions_and_resources(
    loop: Loop, make: Make, tmp_path: Path
) -> None:
    exports = tmp_path / "exports.sh"
    bucket = loop.stage("dev").data_bucket_name
    done = make(
        "review",
        STAGE="prod",
        ASSEMBLY=synthesized(WIDER).directory,
        REVIEW_BUCKET=bucket,
        REVIEW_EXPORTS=str(exports),
        AWS_PROFILE="mlops-dev",
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = (ROOT / "build" / "review" / "prod" / "review.txt").read_text()
    assert "mammography-severity-model: version " in text
    assert "~ parameter AucScoreThreshold: 0.85 -> 0.9" in text
    assert "+ ProdStack: role mlops-prod-operator can now be assumed by" in text
    assert "ParameterDefaults.AucScoreThreshold: 0.85 -> 0.9" in text
    key = f"reviews/{'0' * 40}/prod.html"
    stored = loop.client("dev", "s3").get_object(Bucket=bucket, Key=key)
    assert stored["ContentType"].startswith("text/html")
    assert stored["Body"].read().decode() == (ROOT / "build" / "review" / "prod" / "review.html").read_text()
    shell = f'. {exports}; printf \'%s\\n\' "$SUMMARY" "$REVIEW_URL"'
    summary, url = subprocess.run(
        ["bash", "-eu", "-c", shell], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert url == f"https://us-east-1.console.aws.amazon.com/s3/object/{bucket}?region=us-east-1&prefix={key}"
    assert "1 permission widens." in summary


def test_a_stage_that_is_not_there_is_one_line(make: Make) -> None:
    done = make("review", STAGE="production")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("review: STAGE must be dev or prod, got 'production'")
