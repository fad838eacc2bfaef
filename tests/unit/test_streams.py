"""Archives read while they are unpacked: complete ones give every byte, all others an error and never a hang."""

from __future__ import annotations

import random
import threading
import zipfile
from pathlib import Path
from typing import BinaryIO

import duckdb
import py7zr
import pytest

from extract.offices.comext.bulk import inspect_seven_zip
from extract.streams import (
    ArchiveContentError,
    ArchiveError,
    piped,
    seven_zip_member,
    write_seven_zip,
    write_zip_members,
    zip_members,
)
from tests.contract.loading import seven_zip

# Longer than a pipe's buffer, and not compressible to almost nothing.
LINES = "".join(f"{number},{random.Random(number).random()}\n" for number in range(20_000)).encode()


def write_lines(output: BinaryIO) -> None:
    output.write(LINES)


def read_all(path: Path) -> bytes:
    seven_zip_member(path)
    return unpack_seven_zip(path)


def unpack_zip(path: Path, names: list[str]) -> bytes:
    with piped(lambda output: write_zip_members(path, names, output)) as (pipe,):
        return pipe.read_bytes()


def unpack_seven_zip(path: Path) -> bytes:
    with piped(lambda output: write_seven_zip(path, output)) as (pipe,):
        return pipe.read_bytes()


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_piped_gives_what_is_written_and_leaves_no_file() -> None:
    def write(output: BinaryIO) -> None:
        output.write(b"one")
        output.write(b"two")

    with piped(write) as (pipe,):
        assert pipe.read_bytes() == b"onetwo"
        folder = pipe.parent
    assert not folder.exists()


@pytest.mark.timeout(60)
def test_piped_without_a_reader_does_not_hang() -> None:
    for _ in range(100):
        with piped(write_lines) as (pipe,):
            assert pipe.exists()
        assert not pipe.exists()
    assert [thread for thread in threading.enumerate() if thread.name == "unpack"] == []


@pytest.mark.timeout(60)
def test_piped_reader_may_stop_early() -> None:
    def write(output: BinaryIO) -> None:
        for _ in range(100):
            output.write(b"x" * 100_000)

    with piped(write) as (pipe,), pipe.open("rb") as content:
        assert content.read(3) == b"xxx"


def test_piped_writer_failure_is_an_archive_error_at_the_end() -> None:
    def write(output: BinaryIO) -> None:
        output.write(b"half")
        raise ValueError("the disk went away")

    with pytest.raises(ArchiveError, match="the disk went away"), piped(write) as (pipe,):
        assert pipe.read_bytes() == b"half"


@pytest.mark.timeout(60)
def test_piped_reader_failure_keeps_its_own_error() -> None:
    with pytest.raises(KeyError, match="mine"), piped(write_lines):
        raise KeyError("mine")


def test_zip_members_are_in_numeric_order(tmp_path: Path) -> None:
    names = ["Observations.csv", "Observations10.csv", "Observations2.csv", "sub/Observations1.csv", "Other.csv"]
    path = write_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x\n"))
    assert zip_members(path, "Observations") == [
        "Observations.csv",
        "Observations2.csv",
        "Observations10.csv",
        "sub/Observations1.csv",
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("is_open", [True, False], ids=["last line open", "last line ended"])
def test_zip_several_members_are_joined_under_one_header(tmp_path: Path, end: bytes, *, is_open: bool) -> None:
    last = b"" if is_open else end
    members = {"O1.csv": b"a;b" + end + b"1;2" + end + b"3;4" + last, "O2.csv": b"a;b" + end + b"5;6" + last}
    path = write_zip(tmp_path / "a.zip", members)
    assert unpack_zip(path, ["O1.csv", "O2.csv"]) == end.join([b"a;b", b"1;2", b"3;4", b"5;6"]) + last
    assert unpack_zip(path, ["O1.csv"]) == members["O1.csv"]


def test_zip_truncated_anywhere_is_an_archive_error(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "whole.zip", {"Observations.csv": LINES}).read_bytes()
    for size in (0, 3, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        cut = tmp_path / f"{size}.zip"
        cut.write_bytes(whole[:size])
        with pytest.raises(ArchiveError, match="cut off or broken"):
            zip_members(cut, "Observations")


def test_zip_with_a_changed_byte_is_an_archive_error_when_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"Observations.csv": LINES})
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(body)
    assert zip_members(path, "Observations") == ["Observations.csv"]
    with pytest.raises(ArchiveError, match="cannot be read to its end"):
        unpack_zip(path, ["Observations.csv"])


def test_seven_zip_complete_gives_every_byte(tmp_path: Path) -> None:
    path = seven_zip(tmp_path / "a.7z", {"full_202601.dat": LINES})
    assert seven_zip_member(path) == "full_202601.dat"
    assert unpack_seven_zip(path) == LINES


def test_seven_zip_folder_is_not_a_member(tmp_path: Path) -> None:
    folder = tmp_path / "COMEXT"
    folder.mkdir()
    (folder / "full_202601.dat").write_bytes(LINES)
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writeall(folder, "COMEXT")
        assert "COMEXT" in archive.getnames()
    assert inspect_seven_zip(tmp_path / "a.7z", "") is None
    assert seven_zip_member(tmp_path / "a.7z") == "COMEXT/full_202601.dat"
    assert unpack_seven_zip(tmp_path / "a.7z") == LINES


@pytest.mark.parametrize("members", [{}, {"a.dat": b"x", "b.dat": b"y"}], ids=["none", "two"])
def test_seven_zip_with_another_number_of_members_is_not_retryable(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = seven_zip(tmp_path / "a.7z", members)
    with pytest.raises(ArchiveContentError, match="not one member"):
        seven_zip_member(path)
    verdict = inspect_seven_zip(path, "")
    assert verdict is not None
    assert not verdict.retryable


def test_seven_zip_truncated_anywhere_is_an_archive_error(tmp_path: Path) -> None:
    whole = seven_zip(tmp_path / "whole.7z", {"full.dat": LINES}).read_bytes()
    for size in (0, 5, 6, 20, 31, 32, 33, len(whole) // 2, len(whole) - 40, len(whole) - 1):
        cut = tmp_path / f"{size}.7z"
        cut.write_bytes(whole[:size])
        with pytest.raises(ArchiveError, match="cut off or broken"):
            seven_zip_member(cut)


@pytest.mark.timeout(60)
def test_seven_zip_with_a_changed_byte_is_an_archive_error(tmp_path: Path) -> None:
    whole = seven_zip(tmp_path / "whole.7z", {"full.dat": LINES}).read_bytes()
    for position in range(0, len(whole), len(whole) // 40):
        body = bytearray(whole)
        body[position] ^= 0x55
        path = tmp_path / "changed.7z"
        path.write_bytes(body)
        with pytest.raises(ArchiveError):
            read_all(path)


@pytest.mark.timeout(60)
def test_seven_zip_reader_of_one_line_leaves_the_rest_compressed(tmp_path: Path) -> None:
    path = seven_zip(tmp_path / "a.7z", {"full.dat": LINES * 5})
    with piped(lambda output: write_seven_zip(path, output)) as (pipe,), pipe.open("rb") as content:
        assert content.readline() == LINES.split(b"\n", 1)[0] + b"\n"


@pytest.mark.timeout(60)
def test_database_reads_a_member_and_its_own_error_ends_the_read(tmp_path: Path) -> None:
    path = seven_zip(tmp_path / "a.7z", {"full.dat": LINES})
    options = "header = false, auto_detect = false, columns = {'a': 'INTEGER', 'b': 'DOUBLE'}"
    with duckdb.connect() as connection:
        with piped(lambda output: write_seven_zip(path, output)) as (pipe,):
            assert connection.execute(f"select count(*), max(a) from read_csv('{pipe}', {options})").fetchall() == [
                (20_000, 19_999)
            ]
        with (
            pytest.raises(duckdb.Error),
            piped(lambda output: write_seven_zip(path, output)) as (pipe,),
        ):
            connection.execute(f"select max(b) from read_csv('{pipe}', {options.replace('DOUBLE', 'DATE')})").fetchall()
