"""How the rehearsal reads a Jenkinsfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.ci_steps import jenkins_stages
from rehearsal.groovy import parse

JENKINSFILE = """
pipeline {
  environment { SHARED = 'all' } // sh 'in a comment'
  stages {
    stage('Outer') {
      environment { OWN = 'outer' }
      when { expression { env.GO == 'true' } }
      steps {
        sh 'echo { one }'
        script { if (true) { sh(script: "make 'two'", returnStatus: true) } }
        sh '''make three
make four'''
        /* sh 'nor here' */
        echo 'sh is a word'
      }
    }
    stage("Ask") {
      input { message 'Go on?' }
      steps { echo 'yes' }
    }
  }
}
"""


def read(text: str, folder: Path) -> list[tuple[str, list[str]]]:
    path = folder / "Jenkinsfile"
    path.write_text(text)
    return [(stage.name, [step.script for step in stage.steps]) for stage in jenkins_stages(path)]


def test_texts_with_braces_blocks_within_blocks_and_lines_are_read(tmp_path: Path) -> None:
    assert read(JENKINSFILE, tmp_path) == [
        ("Outer", ["echo { one }", "make 'two'", "make three\nmake four"]),
        ("Ask", []),
    ]


def test_a_step_knows_its_environment_and_condition(tmp_path: Path) -> None:
    read(JENKINSFILE, tmp_path)
    first, ask = jenkins_stages(tmp_path / "Jenkinsfile")
    assert first.steps[0].env == {"SHARED": "all", "OWN": "outer"}
    assert first.steps[0].conditions == ("env.GO == 'true'",)
    assert ask.approval == "Go on?"


@pytest.mark.parametrize("call", ['sh "make ${target}"', "sh command", "sh(command)", "sh(script: command)"])
def test_a_command_that_does_not_stand_in_the_file_is_refused(call: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sh is called with something else than one text"):
        read(f"pipeline {{ stages {{ stage('One') {{ steps {{ {call} }} }} }} }}", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pipeline {\n stages {\n}", "line 1: a brace is opened"),
        ("pipeline { }\n}", "line 2: a brace is closed"),
    ],
)
def test_braces_that_do_not_match_are_told_with_their_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)
