"""Which failures of a step are tried again, how often and after how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SERVICE_FAULT = "Step.SERVICE_FAULT"
THROTTLING = "Step.THROTTLING"
JOB_INTERNAL_ERROR = "SageMaker.JOB_INTERNAL_ERROR"
CAPACITY_ERROR = "SageMaker.CAPACITY_ERROR"
RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"
EXCEPTION_TYPES = frozenset({SERVICE_FAULT, THROTTLING, JOB_INTERNAL_ERROR, CAPACITY_ERROR, RESOURCE_LIMIT})

_THROTTLING_CODES = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
)


@dataclass(frozen=True)
class RetryPolicy:
    """One retry policy of a step; either `max_attempts` or `expire_after_minutes` ends it."""

    exception_types: frozenset[str]
    interval_seconds: float = 1.0
    backoff_rate: float = 2.0
    max_attempts: int | None = None
    expire_after_minutes: float | None = None

    def delay(self, retries: int, elapsed_seconds: float) -> float | None:
        """Return the seconds to wait before the next try, or None where there is none.

        Parameters
        ----------
        retries
            How often this policy has been used already.
        elapsed_seconds
            Time since the step's first try.
        """
        if self.max_attempts is not None and retries >= self.max_attempts:
            return None
        wait = self.interval_seconds * self.backoff_rate**retries
        if self.expire_after_minutes is not None and elapsed_seconds + wait > self.expire_after_minutes * 60:
            return None
        return wait


# SageMaker tries faults and throttling of any step again, also without a policy.
DEFAULT_POLICIES = (RetryPolicy(frozenset({SERVICE_FAULT, THROTTLING}), max_attempts=2),)


def policies_of(step: dict[str, Any]) -> tuple[RetryPolicy, ...]:
    """Return the retry policies of a step's JSON, or the default ones."""
    given = tuple(
        RetryPolicy(
            frozenset(item.get("ExceptionType") or ()),
            float(item.get("IntervalSeconds", 1)),
            float(item.get("BackoffRate", 2.0)),
            item.get("MaxAttempts"),
            item.get("ExpireAfterMin"),
        )
        for item in step.get("RetryPolicies") or []
    )
    return given or DEFAULT_POLICIES


def matching(policies: Sequence[RetryPolicy], exception_type: str | None) -> RetryPolicy | None:
    """Return the first policy for a type of failure."""
    return next((policy for policy in policies if exception_type in policy.exception_types), None)


def exception_type_of_call(code: str, http_status: int) -> str | None:
    """Return the type of failure for an API call that was refused, or None where trying again is no use."""
    if code in _THROTTLING_CODES or http_status == 429:
        return THROTTLING
    if code == "ResourceLimitExceeded":
        return RESOURCE_LIMIT
    return SERVICE_FAULT if http_status >= 500 else None


def exception_type_of_job(failure_reason: str) -> str | None:
    """Return the type of failure for a job that failed, by the beginning of its reason."""
    if failure_reason.startswith("InternalServerError"):
        return JOB_INTERNAL_ERROR
    return CAPACITY_ERROR if failure_reason.startswith("CapacityError") else None
