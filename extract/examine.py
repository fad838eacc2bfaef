"""What an examination of the offices' endpoints found, office by office."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from extract.errors import ExtractError, TransientOfficeError
from extract.http import OfficeSession
from extract.replies import UNREADABLE, in_words
from extract.verdicts import Inspector, Reply

# Requests in a row without a reply after which an office is left alone.
_MOST_FAILURES = 3
_PROBLEMS: tuple[type[Exception], ...] = (ExtractError, *UNREADABLE)


@dataclass(frozen=True)
class Examined:
    """One endpoint that was asked once; its reply, if there was one, is in the raw store.

    Attributes
    ----------
    dataset : str
        Dataset code, or the office for an endpoint that belongs to none.
    endpoint : str
        What was asked for, in a few words.
    url : str
        The request.
    outcome : str
        ``as declared``, ``differs``, ``answers`` (nothing is declared of it), ``fails``.
    detail : str
        What differs, or what went wrong.
    registry_line : str
        The line of the registry file that would make it right; empty if a person has to decide.
    """

    dataset: str
    endpoint: str
    url: str
    outcome: str
    detail: str = ""
    registry_line: str = ""


class Examination:
    """Asks endpoints one by one and goes on when one fails."""

    def __init__(self, session: OfficeSession, dataset: str) -> None:
        self._session = session
        self.dataset = dataset
        self.results: list[Examined] = []

    def ask(self, endpoint: str, url: str, inspect: Inspector) -> Reply | None:
        """Fetch one reply; None, and a result that says why, if it does not come.

        An office that did not answer several requests in a row is not asked for more: each would have to be waited for.
        """
        if self._session.failures >= _MOST_FAILURES:
            problem = f"not asked: the office did not answer {self._session.failures} requests in a row"
            self.results.append(Examined(self.dataset, endpoint, url, "fails", problem))
            return None
        try:
            return self._session.get(url, purpose=f"doctor: {endpoint}", inspect=inspect)
        except ExtractError as error:
            if isinstance(error, TransientOfficeError):
                # All patience was of no use once; with it for each request, an office that is away takes hours.
                self._session.policy = replace(self._session.policy, attempts=1)
            self.results.append(Examined(self.dataset, endpoint, url, "fails", error.problem))
            return None

    def compare(
        self,
        endpoint: str,
        reply: Reply | None,
        read: Callable[[Reply], tuple[str, str]],
    ) -> None:
        """Judge a reply: `read` gives what differs from the registry (empty if nothing) and the line to change."""
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
        """Keep that an endpoint answers, where the registry declares nothing of it."""
        if reply is not None:
            self.results.append(Examined(self.dataset, endpoint, reply.record.url, "answers", detail))
