"""Findings of an examination of the offices' endpoints, by office."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from extract.errors import ExtractError, TransientOfficeError
from extract.http import OfficeSession
from extract.replies import UNREADABLE, in_words
from extract.verdicts import Inspector, Reply

# Consecutive requests without a reply after which no more are sent to an office.
_MOST_FAILURES = 3
_PROBLEMS: tuple[type[Exception], ...] = (ExtractError, *UNREADABLE)


@dataclass(frozen=True)
class Examined:
    """One endpoint that was requested once; its reply, if any, is in the raw store.

    Attributes
    ----------
    dataset : str
        Dataset code, or the office for an endpoint that belongs to none.
    endpoint : str
        The request, in a few words.
    url : str
        The request.
    outcome : str
        ``as declared``, ``differs``, ``answers`` (nothing is declared for it), ``fails``.
    detail : str
        The difference or the error.
    registry_line : str
        The registry line that resolves the difference; empty if a person has to decide.
    """

    dataset: str
    endpoint: str
    url: str
    outcome: str
    detail: str = ""
    registry_line: str = ""


class Examination:
    """Requests endpoints one by one and continues when one fails."""

    def __init__(self, session: OfficeSession, dataset: str) -> None:
        self._session = session
        self.dataset = dataset
        self.results: list[Examined] = []

    def ask(self, endpoint: str, url: str, inspect: Inspector) -> Reply | None:
        """Fetch one reply; return None and record the reason if it fails.

        After several consecutive requests without an answer no more are sent: each would have to time out.
        """
        if self._session.failures >= _MOST_FAILURES:
            problem = f"not requested: the office did not answer {self._session.failures} requests in a row"
            self.results.append(Examined(self.dataset, endpoint, url, "fails", problem))
            return None
        try:
            return self._session.get(url, purpose=f"doctor: {endpoint}", inspect=inspect)
        except ExtractError as error:
            if isinstance(error, TransientOfficeError):
                # All retries failed once; repeated for each request, they would take hours while the office is down.
                self._session.policy = replace(self._session.policy, attempts=1)
            self.results.append(Examined(self.dataset, endpoint, url, "fails", error.problem))
            return None

    def compare(
        self,
        endpoint: str,
        reply: Reply | None,
        read: Callable[[Reply], tuple[str, str]],
    ) -> None:
        """Compare a reply with the registry: `read` returns the difference (empty if none) and the line to change."""
        if reply is None:
            return
        url = reply.record.url
        try:
            difference, line = read(reply)
        except _PROBLEMS as error:
            problem = error.problem if isinstance(error, ExtractError) else in_words(error)
            self.results.append(
                Examined(self.dataset, endpoint, url, "differs", f"the reply cannot be read: {problem}")
            )
            return
        outcome = "differs" if difference else "as declared"
        self.results.append(Examined(self.dataset, endpoint, url, outcome, difference, line))

    def note(self, endpoint: str, reply: Reply | None, detail: str = "") -> None:
        """Record that an endpoint answers, where the registry declares nothing for it."""
        if reply is not None:
            self.results.append(Examined(self.dataset, endpoint, reply.record.url, "answers", detail))
