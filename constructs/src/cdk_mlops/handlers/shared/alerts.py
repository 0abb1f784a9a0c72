"""Messages to people: a subject and four headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.text import ascii_only, one_line, printable, shorten

# SNS: fewer than 100 ASCII characters, no line break, no control character.
SUBJECT_LIMIT = 99
SECTION_LIMIT = 6_000
NOTHING_DONE = "Nothing."


@dataclass(frozen=True)
class Alert:
    """One message.

    Parameters
    ----------
    stage, model
        Begin the subject: `[stage] model: `.
    title
        Rest of the subject; cut where the whole is too long.
    happened, why, done, todo
        Lines under the four headings.
    """

    stage: str
    model: str
    title: str
    happened: Sequence[str]
    why: Sequence[str]
    done: Sequence[str]
    todo: Sequence[str]

    @property
    def subject(self) -> str:
        """At most 99 ASCII characters on one line."""
        whole = ascii_only(one_line(f"[{self.stage}] {self.model}: {self.title}"))
        return shorten("".join(letter for letter in whole if letter.isprintable()), SUBJECT_LIMIT)

    @property
    def body(self) -> str:
        """The four headings with their lines."""
        sections = (
            ("What happened", self.happened),
            ("Why", self.why),
            ("What was done by itself", self.done or [NOTHING_DONE]),
            ("What to do next", self.todo),
        )
        return "\n\n".join(f"{heading}\n{_indent(lines)}" for heading, lines in sections) + "\n"


def _indent(lines: Sequence[str]) -> str:
    text = "\n".join(line for part in lines for line in map(printable, part.splitlines()) if line.strip())
    return "\n".join(f"  {line}" for line in shorten(text, SECTION_LIMIT).splitlines())


def publish(sns: Any, topic_arn: str, alert: Alert) -> str:
    """Publish the message and return its id.

    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """
    answer = sns.publish(TopicArn=topic_arn, Subject=alert.subject, Message=alert.body)
    return str(answer["MessageId"])
