"""Refusals as SageMaker gives them."""

from __future__ import annotations


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


def not_found(message: str) -> ServiceError:
    """Return the refusal of a request for something that isn't there."""
    return ServiceError("ResourceNotFound", message)


def conflict(message: str) -> ServiceError:
    """Return the refusal of a request that contradicts the present state."""
    return ServiceError("ConflictException", message)
