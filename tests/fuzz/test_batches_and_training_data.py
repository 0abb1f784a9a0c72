"""Data files of every kind of wrongness through the steps: exit code 0, 1 or 2, one line, and no wrong success.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from pipeline_code.steps import check_batch, conclude, prepare, preprocess, program
from tests.fuzz.fuzzing import LINE_LIMIT, files_below, fuzz, one_line
from tests.steps.steps_kit import Main, Workbench, shipped_json

STEPS = Path(program.__file__).parent
# With an id and a text column, so that more of a cell's text goes further.
DESCRIBED = shipped_json() | {
    "id_column": "patient",
    "columns": [
        *shipped_json()["columns"][:2],
        {"name": "Size", "type": "number"},
        {"name": "Site", "type": "string", "values": ["left", "right"]},
    ],
}
SITES = ("left", "right")
NAMES = [column["name"] for column in DESCRIBED["columns"]]

odd_numbers = [
    *(
        "1e999",
        "-1e999",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "0x10",
        "1_000",
        "1,000",
        "1 000",
        "1e308",
        "-1e308",
    ),
    *(
        "1e-320",
        "\u0663",
        "\uff11",
        "\u00bd",
        "1.",
        ".5",
        "+5",
        "--5",
        "5-",
        "1e5",
        "007",
        "1e",
        "1" * 400,
        "5",
        "55",
    ),
]
odd_texts = [
    *(
        "NULL",
        "None",
        "?",
        "",
        " ",
        "\t",
        "true",
        "left",
        "right",
        "\ufeff",
        "\u00e9",
        "\U0001f600",
        "x" * 200_000,
    ),
    *('"', '""', '"a', 'a"b', '"a\nb"', '"a\r\nb"', '"a,b"', "a\rb", "a\x00b"),
    *("\x1b[31m", "\u2028", "\x85", "\x0b", "\u202e", "%s%n", "../../etc/passwd", "</script><script>"),
    *("=cmd|' /C calc'!A0", "${jndi:ldap://x}", "$(touch escaped)", "`touch escaped`", "';DROP TABLE x;--"),
]
cells = st.sampled_from(["1", "2", "left", *odd_numbers, *odd_texts])
headers = st.permutations(["patient", *NAMES]) | st.lists(
    st.sampled_from(["patient", *NAMES, "age", "0", "1", "", "x\ny"])
)
ends = st.sampled_from(["\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n", "\x0b"])
encodings = st.sampled_from(["utf-8"] * 8 + ["utf-8-sig", "utf-16", "latin-1"])


@st.composite
def tables(draw: st.DrawFn, label: bool = False) -> bytes:
    """Return a table: a sound one, with changes in a few places."""
    seed = draw(st.integers(0, 99))
    count = draw(st.sampled_from([1, 30, 60, 60, 60]))
    lines = [
        f"p{n},{(n * 7 + seed) % 6 + 1},{20 + (n * 11 + seed) % 60},{(n * 5 + seed) % 17 / 10},{SITES[n % 2]}".split(
            ","
        )
        + [str(n // 3 % 2)] * label
        for n in range(count)
    ]
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 5]))):
        line = lines[draw(st.integers(0, count - 1))]
        match draw(st.sampled_from(["cell", "cell", "cell", "longer", "shorter", "odd"])):
            case "cell" if line:
                line[draw(st.integers(0, len(line) - 1))] = draw(cells)
            case "longer":
                line.append(draw(cells))
            case "shorter":
                del line[-1:]
            case _:
                line[:] = draw(st.lists(cells, max_size=8))
    if draw(st.sampled_from([False, False, True])):
        lines.insert(0, [*draw(headers), *(["Severity"] * label)])
    text = draw(ends).join(",".join(line) for line in lines) + draw(st.sampled_from(["", "\n", "\r\n"]))
    content = text.encode(draw(encodings), "replace")
    place = draw(st.integers(0, len(content)))
    return content[:place] + draw(st.sampled_from([b""] * 8 + [b"\x00", b"\xff\xfe", b'"'])) + content[place:]


files_of_bytes = st.one_of(
    tables(),
    tables(),
    st.binary(max_size=300),
    st.sampled_from([b"", b"\n", b"\xef\xbb\xbf", b"," * 10_000, b"a," * 10_000 + b"\n" + b"1," * 10_000, b'"' * 9999]),
)  # fmt: skip
names = st.sampled_from(
    ["a.csv", "b.txt", "a.out", "c", "x/a.csv", "a/b", "a.csv/b", "NOT_PREPARED", "é.csv", "l\nf.csv"]
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    root = tmp_path_factory.mktemp("steps")
    (root / "model.json").write_text(json.dumps(DESCRIBED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_BASE_DIR", str(root))
        yield Workbench(root, root / "model.json")


@pytest.fixture(scope="module")
def baseline(work: Workbench) -> Path:
    lines = [f"p{n},{n % 6 + 1},{20 + n % 60},{n % 17 / 10},{SITES[n % 2]},{n // 3 % 2}" for n in range(400)]
    data = work.root / "base" / "data"
    data.mkdir(parents=True)
    (data / "train.csv").write_text("\n".join(lines))
    assert work.run(preprocess.main, data.parent, work.root / "base" / "out") == 0, work.message
    return work.root / "base" / "out" / "baseline"


def lay_out(work: Workbench, folder: str, files: dict[str, bytes]) -> tuple[Path, Path]:
    """Write input files; return the folders of inputs and of outputs, which is new."""
    inputs, output = work.root / "in", work.root / "out"
    for path in (inputs, output):
        shutil.rmtree(path, ignore_errors=True)
    for name, content in files.items():
        path = inputs / folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # no file system holds a file and a folder of one name
    return inputs, output


def ended(work: Workbench, step: Main, inputs: Path, output: Path, *more: str) -> int:
    """Run a step; its message is one short line, its exit code says that it is nobody's fault but the data's."""
    code = work.run(step, inputs, output, *more)
    message = (work.root / "output" / "message").read_text(encoding="utf-8")
    assert one_line(message), message
    assert len(message) <= LINE_LIMIT
    assert code in (0, 1, 2), message
    event(f"exit code {code}")  # pytest --hypothesis-show-statistics tells how many of each there are
    if code:
        assert not files_below(output), "a failure left something that looks like a result"
    return code


def prepared_rows(output: Path) -> list[list[str]]:
    """Return the cells of every row that would be scored, as a container splits them."""
    return [
        line.split(",")
        for path in sorted((output / "prepared").rglob("*.csv"))
        if path.is_file()
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def check_prepared(inputs: Path, output: Path, expected: int | None = None) -> None:
    """Every row goes with its id, which the batch holds, and cells that are numbers or missing."""
    found = prepared_rows(output)
    text = b"".join(files_below(inputs / "batch").values()).decode("utf-8")
    assert expected is None or len(found) == expected
    for row in found:
        assert row[0] in text
        assert len(row) == 1 + len(NAMES)
        assert all(cell == "" or abs(float(cell)) < float("inf") for cell in row[1:])


@fuzz(150)
@given(st.dictionaries(names, files_of_bytes, min_size=1, max_size=3))
@example({"a.csv": b"p1,1,20,1e308,left\np2,1,20,1e308,left\np3,1,20,-1e308,left\n"})
@example({"a.csv": b'p1,"1\n\x1b[31m",20,0.1,left\n'})
@example({"a": b"p1,1,20,1,left\n", "a.csv/b": b"p2,1,20,1,left\n"})
def test_a_batch_is_prepared_row_for_row_or_refused(work: Workbench, batch: dict[str, bytes]) -> None:
    inputs, output = lay_out(work, "batch", batch)

    if ended(work, prepare.main, inputs, output) == 0:
        counted = int((work.root / "output" / "message").read_text().split()[1])
        check_prepared(inputs, output, counted)


@fuzz(150)
@given(
    st.dictionaries(names, files_of_bytes, min_size=1, max_size=3), st.sampled_from(["withhold", "deliver"])
)
@example({"a.csv": b"p1,1,20,1e308,left\np2,1,20,1e308,left\np3,1,20,-1e308,left\n"}, "deliver")
@example({"a.csv": b'p1,"1\n\x1b[31m",20,0.1,left\n'}, "deliver")
@example({"a.csv": b"p1,1,20,1,left\n", "a.out": b"p1,1,20,1,left\n"}, "deliver")
@example({"l\nf.csv": b"x"}, "withhold")
def test_the_check_gives_a_verdict_that_fits_what_is_prepared(
    work: Workbench, baseline: Path, batch: dict[str, bytes], on_drift: str
) -> None:
    inputs, output = lay_out(work, "batch", batch)
    for name in ("statistics", "constraints"):
        (inputs / name).mkdir()
        shutil.copy(baseline / f"{name}.json", inputs / name)

    if ended(work, check_batch.main, inputs, output, "--predictions-on-drift", on_drift) == 0:
        verdict = read_strictly(output / "report" / "verdict.json")
        for name in ("statistics", "constraints", "constraint_violations"):
            read_strictly(output / "report" / f"{name}.json")
        texts = [verdict["message"], *(v[key] for v in verdict["violations"] for key in v)]
        assert all(one_line(text) and len(text) <= LINE_LIMIT for text in texts)
        if verdict["action"] in ("deliver", "announce_and_deliver"):
            check_prepared(inputs, output, verdict["rows"])
            assert verdict["rows"] > 0
        else:
            assert set(files_below(output / "prepared")) == {"NOT_PREPARED"}
            assert one_line((output / "prepared" / "NOT_PREPARED").read_text(encoding="utf-8"))


@fuzz(100)
@given(st.dictionaries(names, files_of_bytes, min_size=1, max_size=3))
@example({"a.csv": b""})
@example({"a.csv": b"p1,1,20,1,left\np2,1,200,1,left\n"})
def test_whatever_model_monitor_overlooks_no_broken_batch_is_scored(
    work: Workbench, baseline: Path, batch: dict[str, bytes]
) -> None:
    inputs, output = lay_out(work, "batch", batch)
    for name in ("statistics", "constraints"):
        (inputs / name).mkdir()
        shutil.copy(baseline / f"{name}.json", inputs / name)
    (inputs / "report").mkdir()
    blind = {
        "verdict": "ok",
        "action": "deliver",
        "features": [],
        "violations": [],
        "message": "no violation",
    }
    (inputs / "report" / "verdict.json").write_text(json.dumps(blind))
    own = work.root / "own"
    shutil.rmtree(own, ignore_errors=True)

    code = ended(work, conclude.main, inputs, output)
    assert code == ended(work, check_batch.main, inputs, own)
    if code == 0:
        verdict, ours = (read_strictly(folder / "report" / "verdict.json") for folder in (output, own))
        told = {found["constraint_check_type"] for found in ours["violations"]}
        assert told - {"completeness_check"} <= {v["constraint_check_type"] for v in verdict["violations"]}
        assert (output / "report" / "report.html").exists()
        if verdict["verdict"] == "violation":
            assert told
            assert set(files_below(output / "prepared")) == {"NOT_PREPARED"}
        else:
            check_prepared(inputs, output, verdict["rows"])
            assert verdict["rows"] > 0


@fuzz(150)
@given(
    st.builds(lambda table: {"a.csv": table}, tables(label=True))
    | st.dictionaries(names, tables(label=True) | files_of_bytes, min_size=1, max_size=3)
)
@example({"a.csv": b"p1,1,20,1,left,0\np2,1,20,1,left,1\n"})
def test_training_data_are_split_row_for_row_or_refused(work: Workbench, data: dict[str, bytes]) -> None:
    inputs, output = lay_out(work, "data", data)

    if ended(work, preprocess.main, inputs, output) == 0:
        summary = read_strictly(output / "summary" / "summary.json")
        sides = {
            side: (output / side / f"{side}.csv").read_text().splitlines() for side in ("train", "holdout")
        }
        assert {side: len(lines) for side, lines in sides.items()} == {
            "train": summary["train_rows"],
            "holdout": summary["holdout_rows"],
        }
        assert sum(map(len, sides.values())) == summary["rows"]
        for line in sides["train"] + sides["holdout"]:
            label, *features = line.split(",")
            assert label in ("0", "1")
            assert len(features) == len(NAMES)


def read_strictly(path: Path) -> Any:
    """Read JSON as JavaScript and Java do: without NaN or Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path.name} holds {word}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


json_leaves: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, -1, 0, 1, 0.5, 2, 2**70, -1e308, 1e308),
        *("", "x", "NaN", "inf", "-1", "\ud800", "\x1b", "a" * 5000, [], {}),
    ]
)
RAW = ["NaN", "Infinity", "-Infinity", "1e999", "[" * 100_000, "{", '"\\ud800"', "null", "1" * 6000]


@st.composite
def damaged(draw: st.DrawFn, good: str) -> str:
    """Return a JSON text in which one place holds something else, or which is none."""
    value = json.loads(good)
    places = list(leaves(value))
    holder, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["set", "set", "set", "set", "drop", "double", "raw"])):
        case "set":
            holder[key] = draw(json_leaves)
        case "drop":
            del holder[key]
        case "double" if isinstance(holder, list):
            holder.append(holder[key])
        case _:
            holder[key] = "@"
            return json.dumps(value).replace('"@"', draw(st.sampled_from(RAW)))
    return json.dumps(value)


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a JSON value: its holder and its key, a few of each long list."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(min(len(value), 3)):
            yield value, key
            yield from leaves(value[key])


@fuzz(150)
@given(st.data(), st.sampled_from(["statistics", "constraints"]))
def test_a_damaged_baseline_is_refused_or_still_sees_a_batch_of_another_world(
    work: Workbench, baseline: Path, data: st.DataObject, which: str
) -> None:
    # every feature but the text is out of the training data's range
    batch = "".join(f"q{n},{6},{119 - n % 3},{90 + n},left\n" for n in range(60)).encode()
    inputs, output = lay_out(work, "batch", {"a.csv": batch})
    for name in ("statistics", "constraints"):
        (inputs / name).mkdir()
        text = (baseline / f"{name}.json").read_text()
        given_text = data.draw(damaged(text)) if name == which else text
        (inputs / name / f"{name}.json").write_text(given_text, encoding="utf-8")

    if ended(work, check_batch.main, inputs, output) == 0:
        verdict = read_strictly(output / "report" / "verdict.json")
        assert verdict["action"] in ("withhold_drift", "withhold_violation"), verdict["message"]


@pytest.mark.parametrize(
    ("step", "folder", "content"),
    [
        ("prepare", "batch", b'p1,"1\n\xe2\x80\xa82",20,1,left\n'),
        ("prepare", "batch", b"p1,1,20,1,left\n" + b'"' + b"x" * 300_000),
        ("check_batch", "batch", b"\xff\xfe\x00"),
        ("preprocess", "data", b"p1,\x1b]0;title\x07,20,1,left,0\n"),
    ],
)  # fmt: skip
def test_as_a_program_a_step_ends_with_one_line_and_no_trace(
    work: Workbench, baseline: Path, step: str, folder: str, content: bytes
) -> None:
    inputs, output = lay_out(work, folder, {"a.csv": content})
    for name in ("statistics", "constraints"):
        (inputs / name).mkdir()
        shutil.copy(baseline / f"{name}.json", inputs / name)
    command = [sys.executable, "-m", f"steps.{step}", "--model", str(work.model_path)]
    done = subprocess.run(
        [*command, "--input", str(inputs), "--output", str(output)],
        env={"PYTHONPATH": str(STEPS.parent), "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = (done.stderr or done.stdout).decode("ascii")
    assert (done.returncode, one_line(told)) == (0 if step == "check_batch" else 1, True), told
