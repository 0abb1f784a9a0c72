"""What goes in may be prepared as the blog does it; what comes out is a plain XGBoost model."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

from pipeline_code.mammography import dataset
from tests.integration.loop import Loop

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]


@pytest.fixture(scope="module")
def blog_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both parts of the training data and the batch, written by pandas as the blog's notebook writes them."""
    folder = tmp_path_factory.mktemp("blog")
    source = dataset.source(folder, offline=True).path
    rows = [line for line in source.read_text().splitlines() if line and not line.startswith("@")]
    raw = pd.read_csv(io.StringIO("\n".join(rows)), header=None)
    batch = raw.sample(frac=0.05, random_state=200)
    rest = raw.drop(batch.index)
    part2 = rest.sample(frac=0.1, random_state=200)
    rest.drop(part2.index).to_csv(folder / "part1.csv", index=False)
    part2.to_csv(folder / "part2.csv", index=False)
    unlabelled = batch.drop(columns=[5]).replace("?", np.nan).astype(float)
    unlabelled.fillna(unlabelled.median()).to_csv(folder / "batch.csv", index=False, header=False)
    return folder


def test_files_made_the_blogs_way_train_and_score(loop: Loop, blog_files: Path) -> None:
    parts = [(blog_files / name).read_text() for name in ("part1.csv", "part2.csv")]
    assert all(part.startswith("0,1,2,3,4,5\n") for part in parts)
    for number, part in enumerate(parts, 1):
        uri = loop.put("dev", f"data/blog/part{number}.csv", part)
    trained = loop.run("dev", "train", InputDataUrl=uri.rsplit("/", 1)[0] + "/")
    assert trained.outcome.status == "Succeeded", trained.outcome.in_words()
    newest = loop.versions()[-1]
    assert newest.metrics["execution_arn"] == trained.outcome.execution_arn
    assert int(newest.metrics["data_rows"]) == sum(part.count("\n") - 1 for part in parts)
    batch = (blog_files / "batch.csv").read_text()
    loop.set_status(newest.version, "Approved")
    try:
        run = loop.score("dev", loop.put("dev", "data/batch-dataset/blog/batch.csv", batch))
    finally:
        loop.set_status(newest.version, "Rejected")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    assert (run.model_version, run.rows_scored) == (newest.version, batch.count("\n"))


def test_the_registered_model_is_plain_xgboost_and_scores_as_the_loop_did(loop: Loop) -> None:
    batch = loop.put_batch("prod")
    run = loop.score("prod", batch)
    version = next(version for version in loop.versions() if version.version == run.model_version)
    bucket, key = version.model_data_url.removeprefix("s3://").split("/", 1)
    body = loop.client("registry", "s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["xgboost-model"]
        member = archive.extractfile("xgboost-model")
        assert member is not None
        booster = xgboost.Booster(model_file=bytearray(member.read()))
    assert xgboost.__version__ == "3.2.0"
    rows = pd.read_csv(loop.files / "mammo-batch-dataset.csv", header=None).to_numpy(dtype=np.float32)
    lines = [line.split(",") for line in loop.predictions("prod", run)]
    assert [int(number) for number, _ in lines] == list(range(1, len(rows) + 1))
    scores = np.array([float(score) for _, score in lines], dtype=np.float32)
    np.testing.assert_array_equal(scores, booster.predict(xgboost.DMatrix(rows)))
