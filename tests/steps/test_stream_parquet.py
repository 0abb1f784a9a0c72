"""Parquet files: columns by name, types as they are, nulls are missing."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_code.steps.model import Model
from pipeline_code.steps.parts import batch_parts
from pipeline_code.steps.prepare import write_prepared
from pipeline_code.steps.quality.checks import check
from pipeline_code.steps.quality.constraints import read_constraints, suggest
from pipeline_code.steps.quality.layout import Layout
from pipeline_code.steps.quality.profile import Profile
from pipeline_code.steps.quality.stream import read_state
from pipeline_code.steps.rows import Problem
from tests.steps.stream_kit import by_rows, model, plain

ROWS = 3000
COLUMNS: dict[str, list[Any]] = {
    "count": [None if n % 7 == 0 else n % 90 for n in range(ROWS)],
    "level": [1 + n % 3 for n in range(ROWS)],
    "size": [n / 4 - 5 for n in range(ROWS)],
    "kind": [("a", "b", "aa", None)[n % 4] for n in range(ROWS)],
    "note": [f"note {n % 50}" for n in range(ROWS)],
}


def _parquet(path: Path, **changes: Any) -> Path:
    held = {name: values for name, values in (COLUMNS | changes).items() if values is not None}
    pq.write_table(pa.table(held), path, row_group_size=700)
    return path


def _found(path: Path, held: Model | None = None) -> dict[str, Any]:
    return plain(read_state(Layout.of_batch(held or model()), [(path, path.name)]).profile())


def test_a_parquet_file_gives_what_the_csv_file_with_the_same_rows_gives(tmp_path: Path) -> None:
    csv = tmp_path / "b.csv"
    cells = [["" if value is None else str(value) for value in column] for column in COLUMNS.values()]
    csv.write_text("\n".join(map(",".join, zip(*cells, strict=True))) + "\n")

    assert _found(_parquet(tmp_path / "b.parquet")) == plain(by_rows(csv, "b.csv", model()))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("level", pa.array([None if n % 5 == 0 else 2.0 for n in range(ROWS)])),
        ("level", pa.array([1 + n % 3 for n in range(ROWS)]).dictionary_encode()),
        ("level", pa.array([1 + n % 3 for n in range(ROWS)], pa.decimal128(9, 2))),
        ("size", pa.array(range(ROWS), pa.int16())),
        ("note", pa.array([n % 9 for n in range(ROWS)])),
        ("note", pa.array([f"note {n % 9}" for n in range(ROWS)], pa.large_string())),
        ("note", pa.array([f"note {n % 9}" for n in range(ROWS)]).dictionary_encode()),
        ("note", pa.array([datetime.date(2026, 1, 1 + n % 9) for n in range(ROWS)])),
        ("note", pa.nulls(ROWS)),
        ("note", pa.array([f"note {n % 9}".encode() for n in range(ROWS)])),
        ("kind", pa.array([(b"a", b"b", b"aa", None)[n % 4] for n in range(ROWS)])),
    ],
)
def test_types_that_say_the_same_are_taken(tmp_path: Path, column: str, values: Any) -> None:
    found = _found(_parquet(tmp_path / "b.parquet", **{column: values}))

    assert found["problems"] == []
    assert found["columns"][column]["present"] == ROWS - values.null_count


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("size", ["1.5"] * ROWS, "row 1, column size: '1.5' is stored as another type than number"),
        ("size", ["old"] * ROWS, "row 1, column size: 'old' is not a number"),
        ("size", [b"x"] * ROWS, "row 1, column size: 'x' is not a number"),
        ("note", [[1]] * ROWS, "row 1, column note: '[1]' is stored as another type than string"),
        ("size", [1.0] * 2000 + [float("nan")] * 1000, "row 2001, column size: 'nan' is not a number"),
        ("size", [1.0] * 2000 + [float("inf")] * 1000, "row 2001, column size: 'inf' is not a number"),
        ("level", [1.0] * 2000 + [1.5] * 1000, "row 2001, column level: '1.5' is not an integer"),
    ],
)
def test_values_of_another_type_are_told_with_their_row_and_counted(
    tmp_path: Path, column: str, values: list[Any], told: str
) -> None:
    found = _found(_parquet(tmp_path / "b.parquet", **{column: values}))

    ((text, kind, times),) = found["problems"]
    assert text.startswith(f"b.parquet, {told}")
    assert (kind, times) == ("type", ROWS if "row 1," in told else 1000)


@pytest.mark.parametrize("column", ["note", "kind"])
def test_a_string_column_that_holds_lists_is_a_violation(tmp_path: Path, column: str) -> None:
    known = model()

    def profile(path: Path) -> Profile:
        return read_state(Layout.of_batch(known), [(path, path.name)]).profile()

    usual = profile(_parquet(tmp_path / "usual.parquet"))
    constraints = read_constraints(suggest(usual, known.columns, known.monitor))
    lists = profile(_parquet(tmp_path / "lists.parquet", **{column: [[1]] * ROWS}))

    found = [
        (violation.feature_name, violation.constraint_check_type)
        for violation in check(lists, usual, constraints).violations
    ]
    assert (column, "data_type_check") in found
    # 'aa' is repaired, which a baseline made of it doesn't know
    assert {violation.constraint_check_type for violation in check(usual, usual, constraints).violations} == {
        "categorical_values_check"
    }


def test_texts_that_are_stored_as_bytes_are_the_same_texts(tmp_path: Path) -> None:
    as_bytes = [None if text is None else text.encode() for text in COLUMNS["kind"]]

    assert _found(_parquet(tmp_path / "b.parquet", kind=as_bytes)) == _found(_parquet(tmp_path / "b.parquet"))


NOT_UTF8 = pa.StringArray.from_buffers(
    ROWS, pa.array(range(ROWS + 1), pa.int32()).buffers()[1], pa.py_buffer(b"\xff" * ROWS)
)
FAR = pa.array([1 << 50] * ROWS, pa.timestamp("ms"))
NOWHERE = pa.array([0] * ROWS, pa.timestamp("ms", "Mars/Phobos"))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("note", NOT_UTF8),
        ("note", NOT_UTF8.dictionary_encode()),
        ("size", NOT_UTF8),
        ("note", pa.array([b"\xff"] * ROWS)),
        ("note", FAR),
        ("size", FAR),
        ("size", pa.array([1 << 30] * ROWS, pa.date32())),
        ("size", NOWHERE),
    ],
)
def test_values_that_nobody_can_read_are_a_problem_of_the_file(
    tmp_path: Path, column: str, values: Any
) -> None:
    found = _found(_parquet(tmp_path / "b.parquet", **{column: values}))

    ((text, kind, _),) = found["problems"]
    assert kind == "unreadable"
    assert text.startswith("b.parquet: is not a Parquet file that can be read: ")
    assert found["rows"] == 0


@pytest.mark.parametrize("values", [[{"a": n} for n in range(ROWS)], [[n] for n in range(ROWS)]])
def test_ids_that_are_no_single_values_are_refused(tmp_path: Path, values: list[Any]) -> None:
    found = _found(_parquet(tmp_path / "b.parquet", row=values), model(id_column="row"))

    ((text, kind, _),) = found["problems"]
    assert (kind, "the id column holds values of the type" in text) == ("unreadable", True)


def test_a_text_that_is_repeated_without_end_takes_no_more_memory_than_once(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    rows = 200_000
    huge = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 20_000]))
    others = {name: pa.array([values[1]] * rows) for name, values in COLUMNS.items() if name != "size"}
    pq.write_table(pa.table(others | {"size": huge}), path)
    assert path.stat().st_size < 100_000
    pool = pa.default_memory_pool()
    before = pool.max_memory()

    ((text, kind, times),) = _found(path)["problems"]

    assert (kind, times) == ("type", rows)
    assert "is not a number" in text
    assert pool.max_memory() - before < 200_000_000  # decoded it would be four gigabytes


def test_a_page_whose_checksum_is_wrong_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    pq.write_table(
        pa.table(COLUMNS), path, write_page_checksum=True, compression="none", use_dictionary=False
    )
    content = path.read_bytes()
    assert _found(path)["problems"] == []
    path.write_bytes(content.replace(b"note 7", b"note 8", 1))

    ((text, kind, _),) = _found(path)["problems"]
    assert (kind, "CRC" in text) == ("unreadable", True)


def test_required_and_illegal_values_are_told_with_their_row(tmp_path: Path) -> None:
    path = _parquet(
        tmp_path / "b.parquet",
        size=[*[1.0] * 1234, None, *[1.0] * 1765],
        level=[*[1] * 2999, 7],
        kind=["z"] * ROWS,
    )

    assert sorted((text, times) for text, _, times in _found(path)["problems"]) == [
        ("b.parquet, row 1, column kind: 'z' is not one of a, b", 3000),
        ("b.parquet, row 1235, column size: is missing, and model.yaml requires it", 1),
        ("b.parquet, row 3000, column level: '7' is not one of 1, 2, 3", 1),
    ]


def test_missing_and_extra_columns_are_named_and_the_case_of_names_is_no_matter(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "b.parquet", size=None, more=[1] * ROWS, kind=None, KIND=COLUMNS["kind"])

    found = _found(path)

    assert [text for text, _, _ in found["problems"]] == [
        "b.parquet, column more: is not a column of model.yaml",
        "b.parquet, column size: is not in the file",
    ]
    assert found["columns"]["kind"]["present"] == ROWS * 3 // 4


@pytest.mark.parametrize("keep", [0.2, 0.9, 0.999])
def test_a_parquet_file_that_is_cut_off_counts_nothing_and_is_named(tmp_path: Path, keep: float) -> None:
    path = _parquet(tmp_path / "b.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])

    found = _found(path)

    assert found["rows"] == 0
    assert found["problems"][0][0].startswith("b.parquet: is not a Parquet file that can be read")


def test_a_parquet_file_with_damaged_data_is_named(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "b.parquet")
    content = bytearray(path.read_bytes())
    content[200:4000] = b"\xff" * 3800
    path.write_bytes(bytes(content))

    found = _found(path)

    assert (found["rows"], [kind for _, kind, _ in found["problems"]]) == (0, ["unreadable"])


def test_ids_of_a_parquet_file_are_held_to_the_rules_of_all_ids(tmp_path: Path) -> None:
    ids = [f"r{n}" for n in range(ROWS)]
    ids[2000], ids[2500] = "r7", None  # type: ignore[call-overload]
    path = _parquet(tmp_path / "b.parquet", id=ids)

    problems = _found(path, model(id_column="id"))["problems"]

    assert sorted(text for text, _, _ in problems) == [
        "b.parquet, row 2001, column id: 'r7' is the id of an earlier row too",
        "b.parquet, row 2501, column id: every row needs an id",
    ]


def test_rows_of_a_parquet_file_are_prepared_as_those_of_a_csv_file(tmp_path: Path) -> None:
    held = model(columns=[column for column in model().columns if column.name != "note"])
    folder = tmp_path / "batch"
    folder.mkdir()
    _parquet(folder / "b.parquet", note=None)

    problems: list[Problem] = []
    rows = [
        row for part in batch_parts(folder / "b.parquet", "b.parquet", held, problems) for row in part.ids
    ]
    written = write_prepared(held, folder, tmp_path / "out")

    assert (written, len(rows), problems) == (ROWS, ROWS, [])
    assert (tmp_path / "out" / "b.csv").read_text().splitlines()[:3] == [
        "1,,1,-5,0",
        "2,1,2,-4.75,1",
        "3,2,3,-4.5,0",
    ]
