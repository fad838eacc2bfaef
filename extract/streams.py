"""Streaming readers of archives: DuckDB reads the content from a pipe, and nothing unpacked is written to disk.

Member names select what is read and are never used as paths to write to, so that a name with ``..`` or a link is
harmless. Limits on content and size are in `extract.limits`.
"""

from __future__ import annotations

import errno
import fcntl
import lzma
import os
import stat
import struct
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import IO, BinaryIO

import py7zr
from py7zr.io import Py7zIO, WriterFactory

from extract.limits import MOST_HEADER_BYTES, MOST_MEMBERS, unpacked_too_far

_BLOCK = 1 << 20


class ArchiveError(Exception):
    """An archive is truncated or corrupt; a retry may succeed."""


class ArchiveContentError(ArchiveError):
    """An archive is complete but has unexpected content or compression; not retryable."""


Writer = Callable[[BinaryIO], None]


@contextmanager
def piped(*writers: Writer, names: Sequence[str] = ()) -> Iterator[list[Path]]:
    """Yield a named pipe for each writer, which can be read once.

    DuckDB's ``execute`` reads it once; ``sql`` would open it a second time and hang.

    Parameters
    ----------
    names : sequence of str
        Source of each writer, part of the pipe's path and so of DuckDB's error messages.

    Raises
    ------
    ArchiveError
        At the end of the block, if a writer could not finish: the content was incomplete.
    """
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix="metaalexport-") as folder:
        pipes = [
            Path(folder) / f"{number:05d}-{name}"
            for number, (_, name) in enumerate(zip_longest(writers, names, fillvalue="content"))
        ]
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
                    # The reader never opened the pipe or left: open and close its end to release the writer. Repeat,
                    # as the writer may not have opened its end yet.
                    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
                    thread.join(0.01)
    if failures:
        kind = ArchiveContentError if isinstance(failures[0], ArchiveContentError) else ArchiveError
        raise kind(f"the archive cannot be read to its end ({failures[0]})") from failures[0]


def _feed(pipe: Path, write: Writer, failures: list[BaseException]) -> None:
    try:
        with pipe.open("wb", buffering=_BLOCK) as handle:
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                # Linux: fewer context switches between writer and reader.
                fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, _BLOCK)
            write(handle)
    except BrokenPipeError:
        # The reader stopped early and reports the reason itself.
        return
    except Exception as error:  # noqa: BLE001 - handed over to the reader's thread
        failures.append(error)


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip after checking it against the limits.

    Members cannot unpack to more than the sizes in the directory, which are checked here.

    Raises
    ------
    ArchiveContentError
        If it has too many members, they unpack to too much, or one is a link, encrypted or compressed in an unknown
        way.
    ArchiveError
        If the zip is corrupt, here or in the block.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            links = [m.filename for m in members if stat.S_ISLNK(m.external_attr >> 16)]
            problem = unpacked_too_far(path.stat().st_size, sum(m.file_size for m in members))
            if len(members) > MOST_MEMBERS or links or problem:
                found = problem or (
                    f"its member {links[0]!r} is a link" if links else f"it has {len(members):,} members"
                )
                raise ArchiveContentError(f"the zip cannot be used: {found} ({path})")
            yield archive
    except (NotImplementedError, RuntimeError) as error:
        # Raised by the library for an unsupported compression or a missing password.
        raise ArchiveContentError(f"the zip cannot be unpacked ({error}) ({path})") from error
    except OSError as error:
        # EINVAL: the directory points before the file's start. Other errors are from the disk or a reader that left.
        if error.errno != errno.EINVAL:
            raise
        raise ArchiveError(f"the zip is cut off or broken ({error}) ({path})") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, LookupError) as error:
        raise ArchiveError(f"the zip is cut off or broken ({error}) ({path})") from error


def zip_members(path: Path, prefix: str) -> list[str]:
    """Return the names of a zip's members that start with `prefix`, in order.

    Raises
    ------
    ArchiveError
        If the zip is corrupt or cannot be used.
    """
    with opened_zip(path) as archive:
        return sorted((n for n in archive.namelist() if Path(n).name.startswith(prefix)), key=lambda n: (len(n), n))


def check_zip(path: Path) -> None:
    """Read each member of a zip to its end, which verifies its checksum.

    Raises
    ------
    ArchiveError
        If the zip is corrupt or cannot be used.
    """
    with opened_zip(path) as archive:
        if broken := archive.testzip():
            raise ArchiveError(f"the zip's member {broken} is broken")


def read_header(content: IO[bytes], where: object) -> bytes:
    """Return the first line of a table.

    Raises
    ------
    ArchiveContentError
        If it exceeds the limit.
    """
    line = content.readline(MOST_HEADER_BYTES)
    if len(line) == MOST_HEADER_BYTES:
        raise ArchiveContentError(f"the first line is longer than {MOST_HEADER_BYTES:,} bytes ({where})")
    return line


def write_zip_members(path: Path, names: list[str], output: BinaryIO) -> None:
    """Concatenate CSV members, with the header of the first only."""
    with opened_zip(path) as archive:
        last, end = b"\n", b"\n"
        for number, name in enumerate(names):
            with archive.open(name) as member:
                header = read_header(member, path)
                if number == 0:
                    output.write(header)
                    end = b"\r\n" if header.endswith(b"\r\n") else b"\n"
                elif last != b"\n":
                    # The last line of a member may lack its line end.
                    output.write(end)
                while block := member.read(_BLOCK):
                    output.write(block)
                    last = block[-1:]


def seven_zip_member(path: Path) -> str:
    """Return the name of the only member of a 7z archive.

    Raises
    ------
    ArchiveContentError
        If it holds several members or a link, unpacks to too much, or has an unsupported compression.
    ArchiveError
        If it is truncated or corrupt.
    """
    try:
        with py7zr.SevenZipFile(path) as archive:
            members = [member for member in archive.list() if not member.is_directory]
    except py7zr.exceptions.UnsupportedCompressionMethodError as error:
        raise ArchiveContentError(f"the 7z archive is packed in a way that is not supported ({error})") from error
    except Exception as error:
        # A corrupt directory fails in any of several decoders, each with its own errors.
        raise ArchiveError(f"the 7z archive is cut off or broken ({type(error).__name__}: {error})") from error
    if len(members) != 1:
        names = [member.filename for member in members[:20]]
        raise ArchiveContentError(f"the 7z archive holds {names}, not one member")
    if not members[0].is_file:
        raise ArchiveContentError(f"the member {members[0].filename!r} of the 7z archive is a link, not a file")
    if problem := unpacked_too_far(path.stat().st_size, members[0].uncompressed):
        raise ArchiveContentError(f"the 7z archive cannot be used: {problem}")
    return str(members[0].filename)


def write_seven_zip(path: Path, output: BinaryIO) -> None:
    """Write the only member of a 7z archive; its checksum is verified at the end."""
    name = seven_zip_member(path)
    with py7zr.SevenZipFile(path) as archive:
        archive.extract(targets=[name], factory=_PipeFactory(output, path.stat().st_size))


class _PipeFactory(WriterFactory):
    """Factory that makes py7zr write into an open stream."""

    def __init__(self, output: BinaryIO, packed: int) -> None:
        self._output = output
        self._packed = packed

    def create(self, filename: str) -> Py7zIO:
        return _PipeWriter(self._output, self._packed)


class _PipeWriter(Py7zIO):
    """Writer of a member into a stream that cannot be read back."""

    def __init__(self, output: BinaryIO, packed: int) -> None:
        self._output = output
        self._packed = packed
        self._size = 0

    def write(self, block: bytes | bytearray) -> int:
        self._size += len(block)
        # The directory may have stated a smaller size.
        if problem := unpacked_too_far(self._packed, self._size):
            raise ArchiveContentError(f"the 7z archive cannot be used: {problem}")
        self._output.write(block)
        return len(block)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        self._output.flush()

    def size(self) -> int:
        return self._size
