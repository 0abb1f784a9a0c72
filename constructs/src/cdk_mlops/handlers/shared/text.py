"""Text that fits where it goes: one line, ASCII, a number of characters."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime


def one_line(value: object) -> str:
    """Fold all white space, so that a message of several lines reads as one, and replace what can't be printed."""
    return printable(" ".join(str(value).split()))


def printable(value: str) -> str:
    """Replace what can't be printed: neither UTF-8 nor a terminal takes half a character or an escape sequence."""
    return "".join(letter if letter.isprintable() else "?" for letter in value)


_NAME = re.compile(r"[A-Za-z0-9-]{1,256}")


def is_name(value: object) -> bool:
    """Whether a text is the name or id of something of SageMaker's: letters, digits and hyphens.

    Names from events become parts of keys; one with a slash would be a key of another model's.
    """
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def is_version(value: str) -> bool:
    """Whether a text is the number of a version, as it stands in an ARN."""
    return value.isascii() and value.isdecimal() and len(value) <= 9


def shorten(value: str, limit: int) -> str:
    """Cut at `limit` characters; a cut is seen by three dots."""
    return value if len(value) <= limit else value[: limit - 3].rstrip() + "..."


def ascii_only(value: str) -> str:
    """Spell letters with accents without them; what has no ASCII form becomes a question mark."""
    plain = unicodedata.normalize("NFKD", value).replace("\u2013", "-").replace("\u2014", "-")
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode("ascii")


def number(value: object, digits: int = 3) -> str:
    """A number as people read it; anything else as it stands."""
    try:
        return f"{float(str(value)):.{digits}f}"
    except ValueError:
        return str(value)


def short_number(value: object) -> str:
    """A number with three significant digits, without zeros at its end; anything else as it stands."""
    try:
        return f"{float(str(value)):.3g}"
    except ValueError:
        return str(value)


def moment(value: datetime) -> str:
    """A point in time in UTC, to the minute."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def parse_time(value: object) -> datetime | None:
    """Read an ISO 8601 time or seconds or milliseconds since 1970; a time without a zone is UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    text = str(value).strip() if value is not None else ""
    try:
        if text.replace(".", "", 1).isdecimal():
            seconds = float(text)
            # 1e11 seconds are the year 5138: anything above are milliseconds
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def waiting_for(days: float) -> str:
    """How long something waits, in days or hours."""
    if days >= 1:
        return f"{int(days)} day{'s' if int(days) != 1 else ''}"
    hours = int(days * 24)
    return f"{hours} hour{'s' if hours != 1 else ''}" if hours else "less than an hour"
