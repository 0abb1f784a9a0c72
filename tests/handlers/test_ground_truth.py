"""Which ground truth a run judges: what waits, what was judged, what isn't scored, and what is named."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from model_resolver.handler import Resolver, Settings, resolve
from shared.objects import ObjectStore, digest
from tests.handlers.fake_aws import NOW, Clock, FakeS3, FakeSageMaker, group_arn, refusal

GROUP, DATA, HOME = "severity-package", "data", "model/data"
EVERYTHING = f"s3://{DATA}/{HOME}/ground-truth/"
EVALUATION = "s3://artifacts/one/evaluation.json"
LONG_AGO = NOW - timedelta(days=30)


class World:
    def __init__(self) -> None:
        self.s3, self.sagemaker = FakeS3(DATA, "artifacts"), FakeSageMaker()
        self.s3.put("artifacts", "one/evaluation.json", {})
        evaluation = {"Statistics": {"ContentType": "application/json", "S3Uri": EVALUATION}}
        for status in ("Approved", "Rejected"):
            self.sagemaker.add_version(GROUP, status, ModelMetrics={"ModelQuality": evaluation})
        self.runs = 0

    def resolve(self, uri: str = EVERYTHING, model: str = "model") -> dict[str, str]:
        self.runs += 1
        resolver = Resolver(
            Settings("prod", model, DATA),
            self.sagemaker,
            lambda name: ObjectStore(self.s3, name),
            Clock().sleep,
        )
        event = {
            "action": "resolve_ground_truth",
            "model_package_group_arn": group_arn(GROUP),
            "ground_truth_input": uri,
            "execution_id": f"run{self.runs}",
        }
        return resolve(resolver, event)

    def batch(self, *keys: str, version: int | str | None = 1, at: datetime = LONG_AGO) -> str:
        """Lay down a batch, scored by a version (None: not at all); return its digest."""
        whole = [f"{HOME}/batch-dataset/{key}" for key in keys]
        for key in whole:
            self.s3.put(DATA, key, f"rows of {key}")
        store = ObjectStore(self.s3, DATA)
        found = digest(item for key in whole for item in store.listing(key) if item.key == key)
        if version is not None:
            record = {
                "model_version": str(version),
                "predictions_uri": f"s3://data/{keys[0]}/predictions/{version}",
            }
            self.put(f"model/state/scored/{found}.json", record, at)
        return found

    def labels(self, key: str, content: str = "1,0\n2,1\n", at: datetime = NOW) -> None:
        self.put(f"{HOME}/ground-truth/{key}", content, at)

    def put(self, key: str, value: Any, at: datetime) -> None:
        self.s3.put(DATA, key, value)
        self.s3.modified[key] = at

    def judge(self, found: dict[str, str], at: datetime = NOW) -> None:
        """Write the record of what was judged, as the recorder does."""
        name = f"{found['ground_truth_digest']}-{found['model_version']}"
        self.put(f"model/state/quality/{found['batch_digest']}/{name}.json", {"execution_id": "run1"}, at)

    def reads(self) -> list[str]:
        return [request["Key"] for request in self.s3.called("GetObject")]


@pytest.fixture
def world() -> World:
    return World()


def raises(world: World, uri: str = EVERYTHING) -> str:
    with pytest.raises(Exception) as caught:
        world.resolve(uri)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_labels_of_a_scored_batch_are_found_with_all_that_judges_them(world: World) -> None:
    scored = world.batch("nov.csv", version=2)
    world.labels("nov.csv")
    found = world.resolve()
    assert len(found.pop("ground_truth_digest")) == 64
    assert found == {
        "found": "true",
        "waiting": "0",
        "ground_truth_uri": f"{EVERYTHING}nov.csv",
        "batch_uri": "s3://data/model/data/batch-dataset/nov.csv",
        "batch_digest": scored,
        "predictions_uri": "s3://data/nov.csv/predictions/2",
        # it was rejected since, but it is what scored
        "model_version": "2",
        "evaluation_uri": EVALUATION,
    }


@pytest.mark.parametrize("labelled", [False, True])
def test_where_nothing_waits_every_output_is_there_and_nothing_is_written(
    world: World, labelled: bool
) -> None:
    world.batch("nov.csv", version=None)
    if labelled:
        world.labels("nov.csv")
        world.labels("nobody-knows.csv")
    found = world.resolve()
    assert found.pop("found") == "false"
    assert found.pop("waiting") == "0"
    assert set(found.values()) == {"none"}
    assert len(found) == 7
    assert world.s3.called("PutObject") == []


def test_the_oldest_comes_first_and_the_others_are_counted(world: World) -> None:
    for name, days in (("a.csv", 1), ("b.csv", 3), ("c.csv", 2)):
        world.batch(name)
        world.labels(name, at=NOW - timedelta(days=days))
    order = []
    for left in ("2", "1", "0"):
        found = world.resolve()
        assert found["waiting"] == left
        order.append(found["ground_truth_uri"].removeprefix(EVERYTHING))
        world.judge(found)
    assert order == ["b.csv", "c.csv", "a.csv"]
    assert world.resolve()["found"] == "false"


def test_new_labels_and_another_version_are_judged_again(world: World) -> None:
    world.batch("nov.csv")
    world.labels("nov.csv")
    first = world.resolve()
    world.judge(first)
    assert world.resolve()["found"] == "false"
    world.labels("nov.csv", "1,0\n2,1\n3,1\n")
    second = world.resolve()
    assert second["batch_digest"] == first["batch_digest"]
    assert second["ground_truth_digest"] != first["ground_truth_digest"]
    world.judge(second)
    world.batch("nov.csv", version=2, at=NOW)
    assert world.resolve()["model_version"] == "2"


def test_a_folder_gathers_files_over_time_and_is_judged_anew_with_each(world: World) -> None:
    scored = world.batch("nov/part1.csv", "nov/part2.csv")
    world.labels("nov/monday.csv")
    first = world.resolve()
    assert (first["ground_truth_uri"], first["batch_digest"]) == (f"{EVERYTHING}nov/", scored)
    assert first["batch_uri"] == "s3://data/model/data/batch-dataset/nov/"
    world.judge(first)
    world.labels("nov/tuesday/more.csv")
    world.labels("nov/", "")  # what a console makes of a folder
    second = world.resolve()
    assert second["ground_truth_uri"] == first["ground_truth_uri"]
    assert second["ground_truth_digest"] != first["ground_truth_digest"]


def test_a_file_in_a_folder_belongs_to_the_batch_that_is_called_so(world: World) -> None:
    inner = world.batch("2026/11/20.csv")
    world.labels("2026/11/20.csv")
    assert world.resolve()["batch_digest"] == inner


def test_labels_of_the_folder_of_all_batches_are_found_where_it_was_scored_as_one(world: World) -> None:
    whole = world.batch("monday.csv", "tuesday.csv")
    world.labels("labels.csv")
    found = world.resolve()
    assert (found["ground_truth_uri"], found["batch_digest"]) == (EVERYTHING, whole)
    assert found["batch_uri"] == "s3://data/model/data/batch-dataset/"


def test_what_was_judged_long_after_its_scoring_is_not_read_again(world: World) -> None:
    for day in range(1, 9):
        world.batch(f"{day}.csv")
        world.labels(f"{day}.csv")
        world.judge(world.resolve())
    before = len(world.reads())
    assert world.resolve()["found"] == "false"
    assert len(world.reads()) == before


def test_what_was_judged_on_the_day_of_its_scoring_keeps_nothing_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many records are read a run: first of what no run has judged or tried."""
    monkeypatch.setattr("model_resolver.ground_truth.MOST_READ", 3)
    for hour in range(6):
        world.batch(f"{hour}.csv", at=NOW - timedelta(days=9))
        world.labels(f"{hour}.csv", at=NOW - timedelta(days=9))
        world.judge(world.resolve(), at=NOW - timedelta(days=9) + timedelta(hours=hour))
    assert world.resolve()["found"] == "false"
    for name in ("new1.csv", "new2.csv", "new3.csv", "new4.csv"):
        world.batch(name)
        world.labels(name)
    found = world.resolve()
    assert (found["ground_truth_uri"], found["waiting"]) == (f"{EVERYTHING}new1.csv", "3")


def test_a_batch_that_was_just_scored_anew_is_looked_at_again(world: World) -> None:
    world.batch("nov.csv", at=NOW - timedelta(hours=2))
    world.labels("nov.csv")
    world.judge(world.resolve(), at=NOW)
    world.batch("nov.csv", version=2, at=NOW - timedelta(hours=1))  # while the other was judged
    assert world.resolve()["model_version"] == "2"


def test_what_breaks_every_run_does_not_keep_others_waiting_and_is_left_after_three(world: World) -> None:
    for name, days in (("broken.csv", 9), ("sound.csv", 1)):
        world.batch(name)
        world.labels(name, at=NOW - timedelta(days=days))
    tried = [world.resolve()]
    tried.append(world.resolve())
    world.judge(tried[1])
    tried += [world.resolve(), world.resolve()]
    names = [found["ground_truth_uri"].rpartition("/")[2] for found in tried]
    assert names == ["broken.csv", "sound.csv", "broken.csv", "broken.csv"]
    assert world.resolve()["found"] == "false"
    note = world.s3.json(DATA, next(key for key in world.s3.objects[DATA] if key.endswith(".tries.json")))
    assert note["tries"] in (1, 3)
    # mended, or named by a person, it is judged
    assert world.resolve(f"{EVERYTHING}broken.csv")["found"] == "true"
    world.labels("broken.csv", "1,1\n")
    assert world.resolve()["ground_truth_uri"] == f"{EVERYTHING}broken.csv"


def test_a_try_that_can_not_be_written_down_stops_no_run(world: World) -> None:
    world.batch("nov.csv")
    world.labels("nov.csv")
    world.s3.fail("PutObject", refusal("AccessDenied"))
    assert world.resolve()["found"] == "true"


def test_an_ambiguous_or_unreadable_one_is_passed_over_while_another_waits(world: World) -> None:
    world.batch("nov.csv")
    world.labels("nov.csv", at=LONG_AGO)
    world.labels("nov.csv.bak", at=LONG_AGO)
    odd = world.batch("odd.csv")
    world.put(f"model/state/scored/{odd}.json", "{", LONG_AGO)
    world.labels("odd.csv", at=LONG_AGO)
    none = world.batch("none.csv", version="newest")
    world.labels("none.csv", at=LONG_AGO)
    world.batch("dec.csv")
    world.labels("dec.csv")
    found = world.resolve()
    assert (found["ground_truth_uri"], found["waiting"]) == (f"{EVERYTHING}dec.csv", "0")
    assert none != odd


def test_another_models_records_and_labels_are_not_ours(world: World) -> None:
    world.batch("nov.csv")
    world.labels("nov.csv")
    world.put("model2/data/ground-truth/nov.csv", "1,0\n", NOW)
    world.put("model2/data/batch-dataset/nov.csv", "rows", NOW)
    assert world.resolve("s3://data/model2/data/ground-truth/", "model2")["found"] == "false"
    # a branch scores main's batches, and keeps its own records
    assert world.resolve(model="model--branch")["found"] == "false"


def test_a_named_one_is_judged_whatever_was_judged_before(world: World) -> None:
    world.batch("nov.csv")
    world.labels("nov.csv")
    first = world.resolve()
    world.judge(first)
    again = world.resolve(f"{EVERYTHING}nov.csv")
    assert again == first
    world.batch("dec/1.csv")
    world.labels("dec/labels.csv")
    assert world.resolve(f"{EVERYTHING}dec")["ground_truth_uri"] == f"{EVERYTHING}dec/"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            f"{EVERYTHING}no.csv",
            "GroundTruthNotFound: s3://data/model/data/ground-truth/no.csv does not exist",
        ),
        (
            "s3://data/model/data/labels/nov.csv",
            "GroundTruthNotFound: s3://data/model/data/labels/nov.csv is no place",
        ),
        ("nov.csv", "GroundTruthNotFound: ground_truth_input is no S3 URI: expected"),
        (
            f"{EVERYTHING}lost.csv",
            "BatchNotScored: the batch s3://data/model/data/batch-dataset/lost.csv, whose",
        ),
        (
            f"{EVERYTHING}new.csv",
            "BatchNotScored: the batch s3://data/model/data/batch-dataset/new.csv, whose",
        ),
        (
            f"{EVERYTHING}two.csv",
            "BatchAmbiguous: s3://data/model/data/ground-truth/two.csv is an object, but",
        ),
    ],
)
def test_what_is_missing_for_a_named_one_is_one_line(world: World, uri: str, message: str) -> None:
    world.labels("lost.csv")
    world.batch("new.csv", version=None)
    world.labels("new.csv")
    world.batch("two.csv")
    world.labels("two.csv")
    world.labels("two.csv2")
    said = raises(world, uri)
    assert said.startswith(message)
    assert "\n" not in said


def test_an_evaluation_that_is_younger_than_its_version_or_missing_stops_the_run(world: World) -> None:
    world.batch("nov.csv")
    world.labels("nov.csv")
    world.s3.modified["one/evaluation.json"] = NOW + timedelta(minutes=1)
    said = raises(world)
    assert said.startswith(f"ModelArtifactChanged: {EVALUATION} of version 1 is S3 version v-")
    assert said.endswith(f"Ground truth: {EVERYTHING}nov.csv")
    world.sagemaker.packages[0].pop("ModelMetrics")
    assert "has no evaluation" in raises(world)
    world.sagemaker.packages.clear()
    assert raises(world).startswith("VersionNotFound: version 1 of the package group severity-package")
    assert world.resolve()["found"] == "false"  # the fourth run: it was tried three times
