"""Errors between an office and the landing area.

Every error names the dataset, the request and the next step, because its reader usually sees a failed Airflow
task and nothing else.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


class ExtractError(Exception):
    """Base of all extraction errors.

    Parameters
    ----------
    problem : str
        The problem, in one sentence.
    dataset : str
        Dataset code, for example ``cbs_85429ned``.
    where : str
        The affected URL, file, period or slice.
    next_step : str
        Advice to the reader.
    """

    def __init__(self, problem: str, *, dataset: str, where: str = "", next_step: str = "") -> None:
        self.problem = problem
        self.dataset = dataset
        self.where = where
        self.next_step = next_step
        parts = [f"{dataset}: {problem}"]
        if where:
            parts.append(f"  where: {where}")
        if next_step:
            parts.append(f"  next:  {next_step}")
        super().__init__("\n".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        """Support pickling, which Airflow and multiprocessing apply to exceptions."""
        return (_rebuild, (type(self), self.problem, self.dataset, self.where, self.next_step))


def _rebuild(kind: type[ExtractError], problem: str, dataset: str, where: str, next_step: str) -> ExtractError:
    return kind(problem, dataset=dataset, where=where, next_step=next_step)


class TransientOfficeError(ExtractError):
    """The office could not answer (network, 429, 5xx, maintenance page); a later attempt may succeed."""


class OfficeRefusedError(ExtractError):
    """The office understood and refused the request (4xx, SOAP fault); a retry cannot succeed."""


class NoWayThroughError(OfficeRefusedError):
    """A certificate or a proxy that requires a password blocks the way to the office; a retry cannot succeed."""


class BadReplyError(ExtractError):
    """The reply is not the requested data: wrong format, columns or counts."""


class TornReadError(TransientOfficeError):
    """The office published a new release during the read; the load must start again."""


class RawIntegrityError(ExtractError):
    """Bytes in the raw store do not match the hash in their name."""


class RegistryError(ExtractError):
    """A registry file is missing or invalid."""


class StorageError(ExtractError):
    """The disk is full or not writable; existing data are unchanged."""


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NUMBER = re.compile(r"\[Errno (\d+)\]")
# DuckDB passes on the system's message without its number.
_WORDS = ("No space left on device", "Disk quota exceeded", "File too large", "max_temp_directory_size")


@contextmanager
def writing(dataset: str, where: object) -> Iterator[None]:
    """Translate a failed write by Python or DuckDB into a `StorageError`.

    Parameters
    ----------
    dataset : str
        Dataset code.
    where : object
        Folder or file being written; only its text is used.

    Raises
    ------
    StorageError
        If the disk is full, a quota or file size limit is reached, or writing is not permitted.
    """
    try:
        yield
    except (OSError, duckdb.Error) as error:
        if (told := storage_error(str(error), dataset, where)) is None:
            raise
        raise told from error


def storage_error(text: str, dataset: str, where: object) -> StorageError | None:
    """Return the error for a message of Python, DuckDB or dbt about a failed write; None for any other message."""
    numbers = {int(number) for number in _NUMBER.findall(text)}
    if numbers & _FULL or any(word in text for word in _WORDS):
        problem, step = "the disk is full", "make room on the disk of the state folder, then start the run again"
    elif numbers & _REFUSED:
        problem, step = "the state folder cannot be written", "give this user the right to write there"
    else:
        return None
    return StorageError(
        f"{problem} ({text.splitlines()[0]}); what was loaded and published before is unchanged",
        dataset=dataset,
        where=str(where),
        next_step=step,
    )
