"""Retry policy of requests."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import requests
from tenacity import RetryCallState

RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})
OVERLOADED_STATUSES = frozenset({429, 503})


@dataclass(frozen=True)
class RetryPolicy:
    """Number and timing of retries.

    Attributes
    ----------
    attempts : int
        Total number of attempts.
    base_seconds, max_seconds : float
        First and longest wait; each wait doubles and is jittered by half.
    max_retry_after : float
        Longest ``Retry-After`` in seconds; a longer one fails the request.
    connect_seconds, read_seconds : float
        Limits on one connection attempt and on the wait for the next bytes.
    deadline_seconds : float
        Limit on one whole exchange, however slowly its bytes arrive.
    """

    attempts: int = 4
    base_seconds: float = 2.0
    max_seconds: float = 120.0
    max_retry_after: float = 600.0
    connect_seconds: float = 15.0
    read_seconds: float = 240.0
    deadline_seconds: float = 3600.0

    def wait(self, attempt: int, retry_after: float | None) -> float:
        """Return the seconds to wait after this attempt (1-based), honouring ``Retry-After``."""
        if retry_after is not None:
            return retry_after
        backoff = min(self.base_seconds * 2.0 ** (attempt - 1), self.max_seconds)
        return backoff * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not cryptography


class RetryableError(Exception):
    """An attempt failed for a transient reason."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_after = retry_after


def failed_attempt(state: RetryCallState) -> RetryableError:
    """Return the error of the failed attempt."""
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, RetryableError) else RetryableError("")


def retry_after_of(response: requests.Response) -> float | None:
    """Return the seconds of ``Retry-After``, which may be a number or an HTTP date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    # `isdigit` would accept the superscripts of Latin-1.
    if value.isdecimal():
        return float(value[:20])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment - datetime.now(moment.tzinfo)).total_seconds())
