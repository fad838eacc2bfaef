"""Archives read as they are unpacked: DuckDB takes the content from a pipe, and nothing unpacked lies on disk."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import py7zr
from py7zr.io import Py7zIO, WriterFactory

_BLOCK = 1 << 20


class ArchiveError(Exception):
    """An archive is cut off or broken; once more it may come whole."""


class ArchiveContentError(ArchiveError):
    """An archive is whole and cannot be used: what it holds, or how, is not what is expected. Time does not heal it."""


Writer = Callable[[BinaryIO], None]


@contextmanager
def piped(*writers: Writer) -> Iterator[list[Path]]:
    """Give a path for each writer that reads as what it writes, once.

    DuckDB's ``execute`` reads it once; ``sql`` would open it a second time and wait for ever.

    Raises
    ------
    ArchiveError
        At the end of the block, if a writer could not finish: what was read then was not all of it.
    """
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix="metaalexport-") as folder:
        pipes = [Path(folder) / f"content-{number:05d}" for number in range(len(writers))]
        threads = []
        for pipe, write in zip(pipes, writers, strict=True):
            os.mkfifo(pipe)
            thread = threading.Thread(target=_feed, args=(pipe, write, failures), name="unpack", daemon=True)
            thread.start()
            threads.append(thread)
        try:
            yield pipes
        finally:
            for pipe, thread in zip(pipes, threads, strict=True):
                while thread.is_alive():
                    # A reader that never came, or left: its end is opened and closed, so that the writer can go. More
                    # than once, for a writer that had not come to its own end yet.
                    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
                    thread.join(0.01)
    if failures:
        raise ArchiveError(f"the archive cannot be read to its end ({failures[0]})") from failures[0]


def _feed(pipe: Path, write: Writer, failures: list[BaseException]) -> None:
    try:
        with pipe.open("wb", buffering=_BLOCK) as handle:
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                # Linux: fewer turns between writer and reader.
                fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, _BLOCK)
            write(handle)
    except BrokenPipeError:
        # The reader stopped early, for a reason that it tells itself.
        return
    except Exception as error:  # noqa: BLE001 - handed over to the reader's thread
        failures.append(error)


def zip_members(path: Path, prefix: str) -> list[str]:
    """Return the names of a zip's members that start so, in order.

    Raises
    ------
    ArchiveError
        If the zip is broken.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted((n for n in archive.namelist() if Path(n).name.startswith(prefix)), key=lambda n: (len(n), n))
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"the zip is cut off or broken ({error})") from error


def write_zip_members(path: Path, names: list[str], output: BinaryIO) -> None:
    """Write CSV members one behind the other, with the header of the first only."""
    with zipfile.ZipFile(path) as archive:
        last, end = b"\n", b"\n"
        for number, name in enumerate(names):
            with archive.open(name) as member:
                header = member.readline()
                if number == 0:
                    output.write(header)
                    end = b"\r\n" if header.endswith(b"\r\n") else b"\n"
                elif last != b"\n":
                    # The last line of a member may be open; the next member's first one is a line of its own.
                    output.write(end)
                while block := member.read(_BLOCK):
                    output.write(block)
                    last = block[-1:]


def seven_zip_member(path: Path) -> str:
    """Return the name of the only member of a 7z archive.

    Raises
    ------
    ArchiveContentError
        If it holds several members, or is packed in a way that cannot be unpacked here.
    ArchiveError
        If it is cut off or broken.
    """
    try:
        with py7zr.SevenZipFile(path) as archive:
            names = [member.filename for member in archive.list() if not member.is_directory]
    except py7zr.exceptions.UnsupportedCompressionMethodError as error:
        raise ArchiveContentError(f"the 7z archive is packed in a way that is not supported ({error})") from error
    except Exception as error:
        # A broken directory fails in whichever decoder it is read with, each with errors of its own.
        raise ArchiveError(f"the 7z archive is cut off or broken ({type(error).__name__}: {error})") from error
    if len(names) != 1:
        raise ArchiveContentError(f"the 7z archive holds {names}, not one member")
    return str(names[0])


def write_seven_zip(path: Path, output: BinaryIO) -> None:
    """Write the only member of a 7z archive; its checksum is compared at the end."""
    name = seven_zip_member(path)
    with py7zr.SevenZipFile(path) as archive:
        archive.extract(targets=[name], factory=_PipeFactory(output))


class _PipeFactory(WriterFactory):
    """Lets py7zr write into an open stream."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output

    def create(self, filename: str) -> Py7zIO:
        return _PipeWriter(self._output)


class _PipeWriter(Py7zIO):
    """A member that goes through a stream and cannot be read back."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._size = 0

    def write(self, block: bytes | bytearray) -> int:
        self._output.write(block)
        self._size += len(block)
        return len(block)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        self._output.flush()

    def size(self) -> int:
        return self._size
