"""Mistakes of the person at the keyboard."""


class CommandError(Exception):
    """One line that says what is wrong and what to do."""
