"""A batch that instances share: what `check_shard` and `merge_checks` give is what `check_batch` gives on one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_code.mammography import dataset
from pipeline_code.model_config import load_model
from tests.fixtures.trees import SECOND
from tests.fixtures.wine_data import write_batch, write_training_file
from tests.steps.shard_kit import Batch, Checks, in_files, same
from tests.steps.steps_kit import Workbench

LINES = b"5,60,3,5,3\n4,50,1,1,3\n"


@pytest.fixture
def checks(bench: Workbench, part1: Path) -> Checks:
    return Checks(bench.root / "checks", bench.model_path, part1 / "baseline")


@pytest.fixture
def wines(bench: Workbench) -> tuple[Checks, list[str]]:
    """Checks of the second model, and the lines of a batch of it: with ids, texts and header rows."""
    bench.model_path.write_text(json.dumps(load_model(SECOND / "wine").as_json()))
    output = bench.preprocess("training", write_training_file(bench.root / "wines"))
    lines = write_batch(bench.root / "wines", rows=200).read_text().splitlines(keepends=True)
    return Checks(bench.root / "checks", bench.model_path, output / "baseline"), lines


@pytest.mark.parametrize("instances", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("source", "found"), [(dataset.BATCH, "ok"), (dataset.OUTLIERS, "drift"), (dataset.BROKEN, "violation")]
)
def test_instances_say_what_one_says(
    checks: Checks, files: dict[str, Path], source: str, found: str, instances: int
) -> None:
    lines = files[source].read_text().splitlines(keepends=True)
    batch = in_files(lines, 5)

    whole, shared = checks.alone(batch), checks.shared(batch, instances)

    assert whole.verdict["verdict"] == found
    same(whole, shared)
    if found == "ok":
        # an instance without files leaves nothing that the transform job would take for rows
        assert len(shared.prepared) == 5
        firsts = [text.splitlines()[0].split(",")[0] for text in shared.prepared.values()]
        assert firsts == ["1"] * 5  # rows count from 1 in each file, on however many instances


def test_a_drift_that_is_to_be_delivered_is_and_the_threshold_counts(
    checks: Checks, files: dict[str, Path]
) -> None:
    batch = in_files(files[dataset.OUTLIERS].read_text().splitlines(keepends=True), 4)
    more = ("--predictions-on-drift", "deliver", "--drift-threshold", "0.01")

    whole, shared = checks.alone(batch, *more), checks.shared(batch, 2, *more)

    same(whole, shared)
    assert shared.verdict["action"] == "announce_and_deliver"
    assert {feature["threshold"] for feature in shared.verdict["features"]} == {0.01}


def _no_header(batch: Batch) -> None:
    batch["part/1.csv"] = batch["part/1.csv"].split(b"\n", 1)[1]


def _empty(batch: Batch) -> None:
    batch["2.csv"] = b""


def _truncated(batch: Batch) -> None:
    batch["part/3.csv.gz"] = gzip.compress(batch.pop("part/3.csv"))[:-20]


def _two_of_an_id(batch: Batch) -> None:
    batch["2.csv"] += batch["2.csv"].split(b"\n")[1] + b"\n"


def _an_id_of_another_file(batch: Batch) -> None:
    batch["2.csv"] += batch["part/1.csv"].split(b"\n")[1] + b"\n"


def _unknown_kinds(batch: Batch) -> None:
    for name in ("part/3.csv", "0.csv"):
        batch[name] = batch[name].replace(b",rose", b",green")


def _short_rows_in_two_files(batch: Batch) -> None:
    batch["2.csv"] += b"x1,10\n"
    batch["part/1.csv"] += b"x2\nx3\n"


def _another_encoding(batch: Batch) -> None:
    batch["2.csv"] = batch["2.csv"].replace(b",red", b",ros\xe9", 1)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (_no_header, "expected the header"),
        (_empty, "2.csv: the file is empty"),
        (_truncated, "part/3.csv.gz: "),
        (_two_of_an_id, "is the id of an earlier row too"),
        (_an_id_of_another_file, ""),  # ids are those of a file: one instance says nothing either
        (_unknown_kinds, "0.csv, line "),
        (_short_rows_in_two_files, "has 2 cells; expected 4"),
        (_another_encoding, "the file is not UTF-8"),
    ],
)
@pytest.mark.parametrize("instances", [2, 3])
def test_what_is_broken_in_one_file_is_told_by_instances_as_by_one(
    wines: tuple[Checks, list[str]], damage: Callable[[Batch], None], found: str, instances: int
) -> None:
    checks, (header, *lines) = wines
    batch = in_files(lines, 4, header)
    damage(batch)

    whole, shared = checks.alone(batch), checks.shared(batch, instances)

    same(whole, shared)
    assert shared.verdict["verdict"] == ("violation" if found else "ok")
    assert found in shared.verdict["message"]


def test_a_file_of_no_rows_asks_for_no_score(wines: tuple[Checks, list[str]]) -> None:
    checks, (header, *_) = wines
    checks.archive = checks.root.parent / "none.tar.gz"
    checks.archive.write_bytes(b"")  # would end a check that loads it
    batch = {"0.csv": header.encode(), "1.csv": header.encode()}

    whole, shared = checks.alone(batch), checks.shared(batch, 2)

    same(whole, shared)
    assert shared.verdict["verdict"] == "violation"
    assert "the batch holds no rows" in shared.verdict["message"]


def test_rows_of_a_file_whose_verdict_is_certain_are_not_written(checks: Checks) -> None:
    shared = checks.shared({"a.csv": LINES, "b.csv": b"5,60\n"}, 2)

    assert shared.verdict["action"] == "withhold_violation"
    assert shared.prepared["NOT_PREPARED"].startswith("b.csv, line 1: has 2 cells; expected 5")
    assert sorted(shared.prepared) == ["NOT_PREPARED", "a.csv"]


def test_hidden_files_are_no_part_of_a_batch_on_any_instance(checks: Checks, files: dict[str, Path]) -> None:
    batch = {".hidden": b"x", "a.csv": files[dataset.BATCH].read_bytes()}

    whole, shared = checks.alone(batch), checks.shared(batch, 2)

    assert whole.verdict["verdict"] == "ok"
    same(whole, shared)


@pytest.mark.parametrize("batch", [{}, {".hidden": b"x", "deep/.too": b"y"}])
def test_a_batch_of_no_files_is_bad_data(checks: Checks, batch: Batch) -> None:
    shared = checks.shared(batch, 3)

    assert (shared.code, shared.message) == (1, "no data file in the input folder of any instance")


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ({"a.csv": LINES, "a.txt": LINES}, "two files of the batch would both become a.csv: rename a.txt"),
        (
            {"a.csv/b.csv": LINES, "a.gz": gzip.compress(LINES)},
            "a file and a folder of the batch would have one name: rename the folder of a.csv/b.csv",
        ),
    ],
)
@pytest.mark.parametrize("instances", [1, 2])
def test_names_that_would_become_one_are_refused_wherever_the_files_are(
    checks: Checks, batch: Batch, told: str, instances: int
) -> None:
    whole, shared = checks.alone(batch), checks.shared(batch, instances)

    assert (whole.code, whole.message) == (1, told)
    assert (shared.code, shared.message) == (1, told)


@pytest.mark.parametrize("lost", ["algo-1", "algo-3"])
def test_the_state_of_an_instance_that_is_missing_is_an_error_even_if_that_one_had_no_file(
    checks: Checks, lost: str
) -> None:
    shared = checks.shared({"a.csv": LINES, "b.csv": LINES}, 3, lost=lost)

    assert (shared.code, shared.message) == (2, "2 states of 3 instances are in the folder 'states'")


SOUND = st.tuples(
    st.sampled_from(["1", "4", "5", "", "55"]),
    st.integers(30, 90).map(str),
    st.sampled_from(["1", "2", "3", "4"]),
    st.sampled_from(["1", "5"]),
    st.sampled_from(["3", "?", "2"]),
).map(",".join)
FAULTY = st.sampled_from(
    ["5,old,3,5,3", "5,60,9,5,3", "5,60", '5,"60', "BIRADS,Age,Shape,Margin,Density", "", "5,60,3,5,3,1"]
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    contents=st.lists(
        st.one_of(st.lists(SOUND, min_size=1, max_size=12), st.lists(SOUND | FAULTY, max_size=12)),
        min_size=1,
        max_size=5,
    ),
    instances=st.integers(1, 6),
)
def test_any_batch_gives_on_any_number_of_instances_what_it_gives_on_one(
    part1: Path, contents: list[list[str]], instances: int
) -> None:
    batch = {f"{n}.csv": "".join(row + "\n" for row in rows).encode() for n, rows in enumerate(contents)}
    with TemporaryDirectory() as folder:
        model_path = Path(folder) / "model.json"
        model_path.write_text(json.dumps(load_model("mammography").as_json()))
        checks = Checks(Path(folder), model_path, part1 / "baseline")
        same(checks.alone(batch), checks.shared(batch, instances))
