"""Structured logs: one JSON object a line, so that CloudWatch Logs Insights can query the fields."""

from __future__ import annotations

import json
import sys


def log(level: str, message: str, /, **fields: object) -> None:
    """Write one line to standard output, where Lambda picks it up."""
    line = {"level": level, "message": message, **fields}
    sys.stdout.write(json.dumps(line, default=str, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def info(message: str, /, **fields: object) -> None:
    """Write a line of level INFO."""
    log("INFO", message, **fields)


def warning(message: str, /, **fields: object) -> None:
    """Write a line of level WARNING."""
    log("WARNING", message, **fields)


def error(message: str, /, **fields: object) -> None:
    """Write a line of level ERROR."""
    log("ERROR", message, **fields)
