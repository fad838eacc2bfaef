"""What can go wrong between an office and the landing area.

Every error names the dataset, what was being asked and the next step, because the person who reads it
is usually looking at a failed Airflow task and at nothing else.
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
        What was found, in one sentence.
    dataset : str
        Dataset code, for example ``cbs_85429ned``.
    where : str
        The URL, file, period or slice that it concerns.
    next_step : str
        What the reader can do about it.
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
        """Survive pickling, which Airflow and multiprocessing do to exceptions."""
        return (_rebuild, (type(self), self.problem, self.dataset, self.where, self.next_step))


def _rebuild(kind: type[ExtractError], problem: str, dataset: str, where: str, next_step: str) -> ExtractError:
    return kind(problem, dataset=dataset, where=where, next_step=next_step)


class TransientOfficeError(ExtractError):
    """The office could not answer now (network, 429, 5xx, maintenance page); a later try may succeed."""


class OfficeRefusedError(ExtractError):
    """The office understood the request and refused it (4xx, SOAP fault); repeating it cannot succeed."""


class NoWayThroughError(OfficeRefusedError):
    """A certificate, or a proxy that wants a password, stands between here and the office; no retry gets past it."""


class BadReplyError(ExtractError):
    """The reply is not the data that was asked for: wrong format, columns, or counts."""


class TornReadError(TransientOfficeError):
    """The office published a new release while it was being read; the load must start again."""


class RawIntegrityError(ExtractError):
    """Bytes in the raw store do not have the hash that names them."""


class RegistryError(ExtractError):
    """A registry file is missing or does not say what it must."""


class StorageError(ExtractError):
    """The disk is full, or will not let itself be written to; nothing that was there is changed."""


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NUMBER = re.compile(r"\[Errno (\d+)\]")
# DuckDB passes on the system's words and not its number.
_WORDS = ("No space left on device", "Disk quota exceeded", "File too large", "max_temp_directory_size")


@contextmanager
def writing(dataset: str, where: object) -> Iterator[None]:
    """Say it in the project's own words if something cannot be written, by Python or by DuckDB.

    Parameters
    ----------
    dataset : str
        Dataset code.
    where : object
        Folder or file that is written; only its text is used.

    Raises
    ------
    StorageError
        If the disk is full, a quota or a limit on the size of files is reached, or writing is not permitted.
    """
    try:
        yield
    except (OSError, duckdb.Error) as error:
        if (told := storage_error(str(error), dataset, where)) is None:
            raise
        raise told from error


def storage_error(text: str, dataset: str, where: object) -> StorageError | None:
    """Return the error for what Python, DuckDB or dbt said of a write that failed; None if it says something else."""
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
