"""``python -m rehearsal``: the program, told to end in order before it has loaded anything that takes time."""

from __future__ import annotations

import sys

from demo import interrupts


def main() -> int:
    """Run the rehearsal; an interruption is one line, and 128 and the signal's number."""
    try:
        interrupts.install()
        from rehearsal.program import main as program

        return program()
    except interrupts.Interrupted as interrupted:
        print("\nrehearse: interrupted; nothing of it is left running", file=sys.stderr)
        return interrupted.exit_code


if __name__ == "__main__":
    sys.exit(main())
