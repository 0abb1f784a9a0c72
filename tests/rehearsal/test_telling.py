"""What a person sees: rows, the table at the end, the page; and who is asked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from rehearsal import page
from rehearsal.approver import Answer, Approver
from rehearsal.builds import STAND_IN, SUITE, commands_in, replacements
from rehearsal.errors import RehearsalError
from rehearsal.path import Record, Row, shortened
from rehearsal.program import main
from tests.demo.pages import look

BORROW = Path("/x/borrow")


def rehearsed() -> Record:
    record = Record()
    with record.part("Promotion 1", "from nothing to prod") as part:
        record.row(Row("Build", "Synth", "Succeeded", 280.4, "1,900 passed"))
        record.note("a note with <angle> brackets")
        part.arrived = True
    with record.part("A refused approval", "must stop"):
        record.row(Row("Prod", "PromoteToProd", "Rejected", 2, "refused: not before Monday"))
        record.stopped("Prod/PromoteToProd: refused: not before Monday")
    return record


def test_a_row_says_stage_action_result_seconds_and_what_it_said() -> None:
    line = Row("Build", "Synth", "Succeeded", 280.4, "1,900\npassed").line()
    assert line.split() == ["Build", "Synth", "Succeeded", "280", "s", "1,900", "passed"]


def test_long_texts_become_one_short_line() -> None:
    assert shortened("a  b\nc") == "a b c"
    assert len(shortened("x" * 500, 100)) == 100


def test_a_step_that_fails_is_told_as_failed() -> None:
    record = Record()
    with pytest.raises(ValueError), record.part("A part"), record.step("A person", "make trace"):
        raise ValueError
    assert [(row.action, row.result) for row in record.parts[0].rows] == [("make trace", "Failed")]


def test_the_table_at_the_end_has_a_line_a_part() -> None:
    lines = rehearsed().table().splitlines()
    assert "arrived in prod" in lines[0]
    assert "stopped: Prod/PromoteToProd: refused: not before Monday" in lines[1]


def test_the_page_shows_every_part_and_escapes_what_was_said() -> None:
    html = page.render(rehearsed().as_json())
    for text in (
        "Promotion 1",
        "1,900 passed",
        "not before Monday",
        "&lt;angle&gt;",
        "1</strong><span>commits carried",
    ):
        assert text in html
    assert "<angle>" not in html
    assert "http" not in html.replace("https://www.w3.org", "")


def test_the_page_of_a_rehearsal_that_ended_early_says_why() -> None:
    record = rehearsed()
    record.facts["error"] = "expected: prod is untouched"
    assert "expected: prod is untouched" in page.render(record.as_json())


def test_the_page_fits_a_telephone_and_a_desk(tmp_path: Path) -> None:
    seen = look(page.render(rehearsed().as_json()), [390, 1280], tmp_path)
    assert {width: numbers["scroll"] <= width for width, numbers in seen.items()} == {390: True, 1280: True}


def test_the_numbers_are_written_beside_the_page(tmp_path: Path) -> None:
    rehearsed().write(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [part["title"] for part in summary["parts"]] == ["Promotion 1", "A refused approval"]


# --- who is asked


def test_without_a_terminal_and_without_approve_it_says_so_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("APPROVE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["--output", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert said.err == (
        "\nrehearse: somebody must answer the approvals:"
        " run it in a terminal, or with APPROVE=1 to approve everything\n"
    )
    assert not (tmp_path / "out").exists()


def test_approve_has_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVE", "yes")
    with pytest.raises(RehearsalError, match="APPROVE must be 1"):
        Approver.of_this_terminal()


def test_approve_1_answers_yes_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVE", "1")
    assert Approver.of_this_terminal(io.StringIO("")).answer("PromoteToProd", "?").approved


def test_a_person_is_asked_until_the_answer_is_clear() -> None:
    said = iter(["", "maybe", "refuse"])
    assert not Approver(always=False, ask=lambda question: next(said)).answer("PromoteToProd", "?").approved


def test_a_script_answers_within_its_block_only() -> None:
    approver = Approver(always=False, ask=lambda question: "y")
    with approver.script({"PromoteToProd": Answer(False, "no")}):
        assert not approver.answer("PromoteToProd", "?").approved
        assert approver.answer("ConfirmPermissions", "?").note == "approved by the rehearsal"
    assert approver.answer("PromoteToProd", "?").note == "approved at the terminal"


def test_a_folder_with_other_files_is_not_emptied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("APPROVE", "1")
    (tmp_path / "precious.txt").write_text("keep")
    assert main(["--output", str(tmp_path)]) == 1
    assert "holds other files" in capsys.readouterr().err
    assert (tmp_path / "precious.txt").exists()


# --- builds


def test_every_make_target_of_a_build_borrows_its_environment() -> None:
    found = replacements(iter(["make review STAGE=prod", "cdk deploy"]), BORROW, suite_runs=False)
    assert found == {"make review STAGE=prod": "/x/borrow && make review STAGE=prod"}


def test_the_suite_is_run_once_in_an_environment_of_its_own() -> None:
    assert replacements(iter([SUITE, "make synth"]), BORROW, suite_runs=True) == {}
    later = replacements(iter([SUITE, "make synth"]), BORROW, suite_runs=False)
    assert later == {SUITE: f"/x/borrow && {STAND_IN}", "make synth": "/x/borrow && make synth"}


def test_commands_of_a_build_specification_are_found_and_a_files_name_has_none() -> None:
    assert list(commands_in('{"phases": {"build": {"commands": ["make synth", "true"]}}}')) == [
        "make synth",
        "true",
    ]
    assert list(commands_in("buildspec-1.yaml")) == []
    assert list(commands_in("")) == []
