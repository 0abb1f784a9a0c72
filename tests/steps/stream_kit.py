"""What the tests of the streaming engine share: data sets that try a reader, and profiles that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pipeline_code.steps.model import Column, Holdout, Model
from pipeline_code.steps.quality.profile import Profile, profile_rows
from pipeline_code.steps.rows import Problem, RowReader

COLUMNS = (
    Column(name="count", type="integer", minimum=0, maximum=90, repairs=((99.0, 9.0),)),
    Column(name="level", type="integer", values=(1.0, 2.0, 3.0)),
    Column(name="size", type="number", minimum=-5.0, required=True),
    Column(name="kind", type="string", values=("a", "b"), repairs=(("aa", "a"),)),
    Column(name="note", type="string"),
)
TARGET = Column(name="label", type="integer", values=(0.0, 1.0))


def model(
    *, id_column: str | None = None, header: bool = False, columns: Sequence[Column] = COLUMNS
) -> Model:
    """Return a model with columns of every kind."""
    return Model(
        columns=tuple(columns),
        target=TARGET,
        id_column=id_column,
        batch_header=header,
        holdout=Holdout(salt="s", fraction=0.2),
        hyperparameters={},
    )


NUMBERS = [
    "1",
    "2",
    "3",
    "7",
    "90",
    "99",
    "2.50",
    "-4",
    "1e1",
    " 3",
    "3 ",
    "\t2",
    "+1",
    "007",
    ".5",
    "5.",
    "-0",
]
BROKEN = [
    *[
        "old",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1e999",
        "1e-400",
        "1_0",
        "0x10",
        "91",
        "-6",
        "9007199254740993",
    ],
    *[
        "1.5.2",
        "--1",
        "1e",
        "٣",
        "12345678901234567890",
        "4",
        "0.30000000000000004",
        "NA",
        "null",
        "#N/A",
        "true",
    ],
]
MISSING = ["", "?", " ", " ?", "? ", '""', '"?"', "  "]
TEXTS = [
    "a",
    "b",
    "aa",
    "c",
    "A",
    "a b",
    "é",
    "日本",
    "x" * 70,
    '"a"',
    '"b,c"',
    '"two\nlines"',
    '"a ""b"""',
    "1",
]
ODD = ['a"b', '"a"b', 'a ""', '"', "a\rb", '"a\r\nb"', " \x1f", "\x0b", "\u00a0a", "\u2028", "'"]


@st.composite
def csv_files(draw: st.DrawFn, *, odd: bool = True) -> bytes:
    """Draw a file: mostly rows that fit, with everything in between that files have been seen to hold."""
    faults = draw(st.sampled_from([0, 0, 1, 3]))
    fine = [
        st.sampled_from(["1", "2", "90", "99", "", "7"]),
        st.sampled_from(["1", "2", "3", "?"]),
        st.one_of(st.sampled_from(NUMBERS), st.floats(-4, 1e6).map(repr)),
        st.sampled_from(["a", "b", "aa", ""]),
        st.sampled_from(TEXTS),
    ]
    strange = st.sampled_from([*NUMBERS, *BROKEN, *MISSING, *TEXTS, *(ODD if odd else [])])
    rows = []
    for number in range(draw(st.integers(0, 40))):
        cells = [f"r{number}", *(draw(cell) for cell in fine)]
        if faults and draw(st.integers(0, 9)) < faults:
            cells[draw(st.integers(0, 5))] = draw(strange)
        if faults and draw(st.integers(0, 19)) < faults:
            cells = draw(
                st.sampled_from([cells[:-1], [*cells, "1"], [""], [" "], ['""'], ["r1", *cells[1:]]])
            )
        rows.append(",".join(cells))
    if draw(st.integers(0, 3)) == 0:
        names = draw(st.permutations(["id", *(column.name for column in COLUMNS)]))
        names = draw(st.sampled_from([names, names[1:], [*names, "more"], [*names[1:], names[1]]]))
        at = 0 if draw(st.booleans()) else draw(st.integers(0, len(rows)))
        rows.insert(at, ",".join(names))
    end = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"] if odd else ["\n", "\r\n"]))
    content = (end.join(rows) + draw(st.sampled_from(["", end, end + end]))).encode()
    if odd and draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(content)))
        content = (
            content[:at]
            + draw(st.sampled_from([b"\xff", b"\0", b"\xef\xbb\xbf", b"\n\n", b'"']))
            + content[at:]
        )
    return b"\xef\xbb\xbf" + content if draw(st.integers(0, 9)) == 0 else content


def by_rows(path: Path, name: str, held: Model) -> Profile:
    """Return the profile of a file as the row reader gives it, its problems told once each."""
    problems: list[Problem] = []
    reader = RowReader(name, held.columns, held, header=held.batch_header, problems=problems)
    profile = profile_rows(held.columns, [reader.read(path)], problems)
    first: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        key = problem.kind, problem.column
        told = first.get(key)
        first[key] = replace(told, times=told.times + 1) if told else problem
    return replace(profile, problems=tuple(first.values()))


def plain(profile: Profile) -> dict[str, Any]:
    """Return a profile as values that compare and can be read."""
    return {
        "rows": profile.rows,
        "problems": [(str(problem), problem.kind, problem.times) for problem in profile.problems],
        "columns": {
            column.name: {
                **{
                    key: value
                    for key, value in vars(column).items()
                    if key not in ("points", "categories", "name")
                },
                "categories": dict(column.categories) if column.categories is not None else None,
                "points": None
                if column.points is None
                else list(zip(column.points.values.tolist(), column.points.counts.tolist(), strict=True)),
            }
            for column in profile.columns
        },
    }
