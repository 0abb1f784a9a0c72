"""Refusals of requests, and failures of actions, as CodePipeline gives them."""

from __future__ import annotations

_MESSAGE_CHARACTERS = 5000
_SUMMARY_CHARACTERS = 2048


class ServiceError(Exception):
    """A request is refused; `code` is what boto3 shows as the error code."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> ServiceError:
    """Return the refusal of a request that makes no sense."""
    return ServiceError("ValidationException", message)


class ActionFailed(Exception):  # noqa: N818 - an outcome of an action, as ActionAbandoned is
    """An action has failed; `code` and the message become its error details.

    Parameters
    ----------
    message
        Why.
    code
        e.g. ``JobFailed``, ``ConfigurationError``, ``PermissionError``.
    summary
        What the action itself last said. Default: the message.
    """

    def __init__(self, message: str, *, code: str = "JobFailed", summary: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message[:_MESSAGE_CHARACTERS] or code
        self.summary = (message if summary is None else summary)[-_SUMMARY_CHARACTERS:]


class ActionAbandoned(Exception):  # noqa: N818 - an outcome that was asked for, not an error
    """An action has ended because its execution was stopped or its pipeline changed."""
