"""Archives unpack within bounds, whatever they hold: bombs, false names, broken ends."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import random
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest

from tidewaiter.formats.archives import Extracted, InputLimits, Spending, Unreadable, kind_of, members
from tidewaiter.formats.unpacking import member_label

LINES = b"".join(b"line %d of a log that is long enough to be cut somewhere\n" % number for number in range(2_000))
CONTENT = {"logs/a.log": LINES, "b.log": b"short\n", "logs/deep/c.log": LINES[::-1]}

Found = list[tuple[str, bytes] | Unreadable]


def unpack(path: Path, work: Path, limits: InputLimits | None = None, label: str | None = None) -> Found:
    """Unpack one level; each member's content is read while it is there. Nothing may stay behind or lie elsewhere."""
    label = label or path.name
    kind = kind_of(path.read_bytes()[:65_536])
    assert kind is not None
    found: Found = []
    outside = snapshot(work.parent, work)
    for each in members(path, label, kind, Spending(limits or InputLimits(), path.stat().st_size), work):
        if isinstance(each, Extracted):
            assert each.path.parent == work
            assert [entry.name for entry in work.iterdir()] == [each.path.name]
            found.append((each.log_file, each.path.read_bytes()))
        else:
            found.append(each)
    assert list(work.iterdir()) == []
    assert snapshot(work.parent, work) == outside
    return found


def snapshot(top: Path, but: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in top.rglob("*") if path.is_file() and not path.is_relative_to(but)}


def zipped(content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(content: dict[str, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def seven_zipped(content: dict[str, bytes], password: str | None = None) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", password=password) as archive:
        for name, data in content.items():
            archive.writestr(data, name)
    return out.getvalue()


MAKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": zipped,
    "zip stored": lambda content: zipped(content, zipfile.ZIP_STORED),
    "zip bzip2": lambda content: zipped(content, zipfile.ZIP_BZIP2),
    "zip lzma": lambda content: zipped(content, zipfile.ZIP_LZMA),
    "tar": tarred,
    "tar pax": lambda content: tarred(content, tarfile.PAX_FORMAT),
    "tar ustar": lambda content: tarred(content, tarfile.USTAR_FORMAT),
    "tar.gz": lambda content: gzip.compress(tarred(content)),
    "tar.bz2": lambda content: bz2.compress(tarred(content)),
    "tar.xz": lambda content: lzma.compress(tarred(content)),
    "7z": seven_zipped,
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.parametrize("maker", MAKERS)
def test_every_member_comes_out_whole_under_its_label(maker: str, tmp_path: Path, work: Path) -> None:
    path = tmp_path / "no-extension"
    path.write_bytes(MAKERS[maker](CONTENT))

    found = unpack(path, work, label="in/x.any")

    assert found == [(f"in/x.any!{name}", data) for name, data in CONTENT.items()]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_keeps_the_label_of_the_whole(compress: Callable[[bytes], bytes], tmp_path: Path, work: Path) -> None:
    path = tmp_path / "x.log.gz"
    path.write_bytes(compress(LINES) + compress(b"a second stream\n"))

    assert unpack(path, work) == [("x.log.gz", LINES + b"a second stream\n")]


def test_a_zstandard_file_is_read(tmp_path: Path, work: Path) -> None:
    zstd = pytest.importorskip("backports.zstd", reason="comes with py7zr on some versions of Python only")
    path = tmp_path / "x.log.zst"
    path.write_bytes(zstd.compress(LINES))

    assert unpack(path, work) == [("x.log.zst", LINES)]


@pytest.mark.parametrize("maker", ["zip", "tar", "tar.gz"])
def test_a_name_never_decides_where_a_member_is_written(maker: str, tmp_path: Path, work: Path) -> None:
    names = ("../outside.log", "/etc/outside.log", "C:\\logs\\x.log", "a/../../b.log", "..\\..\\c.log", "x" * 150, "ok.log")
    path = tmp_path / "a.zip"
    path.write_bytes(MAKERS[maker](dict.fromkeys(names, b"data\n")))

    found = unpack(path, work)

    assert [each for each in found if isinstance(each, Unreadable)] == []
    labels = [each[0] for each in found if not isinstance(each, Unreadable)]
    assert labels == [f"a.zip!{name}".replace("\\", "/") for name in names]


def test_a_false_name_in_a_7z_is_harmless_too(tmp_path: Path, work: Path) -> None:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(b"data\n", "aa/outside.log")
        archive.writestr(b"more\n", "b/outside2.log")
    data = bytearray(out.getvalue())
    for old, new in (("aa/outside.log", "../outside.log"), ("b/outside2.log", "/etc/hosts.log")):
        where = data.index(old.encode("utf-16-le"))
        data[where : where + 2 * len(new)] = new.encode("utf-16-le")
    offset, size = struct.unpack("<QQ", data[12:28])
    data[28:32] = struct.pack("<I", zlib.crc32(data[32 + offset : 32 + offset + size]))
    data[8:12] = struct.pack("<I", zlib.crc32(data[12:32]))
    path = tmp_path / "a.7z"
    path.write_bytes(data)

    assert unpack(path, work) == [("a.7z!../outside.log", b"data\n"), ("a.7z!/etc/hosts.log", b"more\n")]


def test_names_with_surrogates_become_labels_that_can_be_encoded() -> None:
    assert member_label("a.zip", "x\udcff").encode() == b"a.zip!x/udcff"


@pytest.mark.parametrize("maker", ["zip", "tar.gz", "7z"])
def test_a_bomb_stops_its_archive_and_what_came_before_stays(maker: str, tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(MAKERS[maker]({"first.log": b"kept\n", "bomb": bytes(40_000_000), "after.log": b"not reached\n"}))
    limits = InputLimits(ratio_free=1_000_000)

    found = unpack(path, work, limits)

    assert found[0] == ("a!first.log", b"kept\n")
    assert len(found) == 2
    assert isinstance(found[1], Unreadable)
    assert (found[1].kind, found[1].log_file) == ("limit", "a")
    assert "200 times" in found[1].problem


@pytest.mark.parametrize("maker", ["zip", "tar", "7z"])
@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (InputLimits(members=2), "more than 2 members"),
        (InputLimits(member_bytes=50_000), "a member larger than"),
        (InputLimits(total_bytes=len(LINES) + 10), "unpacks to more than"),
    ],
    ids=["members", "member size", "total size"],
)
def test_bounds_on_counts_and_sizes_hold(maker: str, limits: InputLimits, words: str, tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(MAKERS[maker](CONTENT))

    last = unpack(path, work, limits)[-1]

    assert isinstance(last, Unreadable)
    assert last.kind == "limit"
    assert words in last.problem


def test_a_sparse_tar_that_claims_a_terabyte_is_a_bomb(tmp_path: Path, work: Path) -> None:
    info = tarfile.TarInfo("big")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"%011o\0%011o\0" % (0, 0)
    header[483:495] = (0x80 << 88 | 1 << 40).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(header) + bytes(1024))

    found = unpack(path, work, InputLimits(ratio_free=1_000_000))

    assert [each.kind for each in found if isinstance(each, Unreadable)] == ["limit"]
    assert len(found) == 1


def test_a_tar_header_that_claims_gigabytes_is_not_read_into_memory(tmp_path: Path, work: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 8 << 30
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(64 << 20)))

    found = unpack(path, work)

    assert [each.kind for each in found if isinstance(each, Unreadable)] == ["limit"]


def test_a_forged_zip_directory_is_not_read_into_memory(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.zip"
    size = 200 << 20
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(size)
        file.seek(size)
        file.write(
            b"PK\x05\x06" + b"\0" * 4 + b"\xff\xff" * 2 + (size - 4).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"\0\0"
        )

    found = unpack(path, work)

    assert [each.kind for each in found if isinstance(each, Unreadable)] == ["damaged"]


def test_an_encrypted_zip_member_is_reported_with_the_remedy(tmp_path: Path, work: Path) -> None:
    data = bytearray(zipped({"secret.log": b"data\n", "open.log": b"data\n"}))
    data[6] |= 1  # the flag in the local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path = tmp_path / "a.zip"
    path.write_bytes(data)

    found = unpack(path, work)

    assert isinstance(found[0], Unreadable)
    assert (found[0].log_file, found[0].kind) == ("a.zip!secret.log", "unreadable")
    assert "password" in found[0].problem
    assert found[1:] == [("a.zip!open.log", b"data\n")]


def test_an_encrypted_7z_is_reported_with_the_remedy(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.7z"
    path.write_bytes(seven_zipped({"secret.log": LINES}, password="correct horse"))

    (found,) = unpack(path, work)

    assert isinstance(found, Unreadable)
    assert "password" in found.problem


@pytest.mark.parametrize("maker", ["zip", "tar", "7z"])
def test_an_empty_member_is_reported_as_empty(maker: str, tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(MAKERS[maker]({"full.log": b"data\n", "empty.log": b""}))

    found = unpack(path, work)

    assert ("a!full.log", b"data\n") in found
    assert [(each.log_file, each.kind) for each in found if isinstance(each, Unreadable)] == [("a!empty.log", "empty")]


def test_links_and_devices_in_archives_are_reported_and_not_made(tmp_path: Path, work: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (
            ("link", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("dev", tarfile.CHRTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    path = tmp_path / "a.tar"
    path.write_bytes(out.getvalue())
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr(link, "/etc/passwd")
    zip_path = tmp_path / "a.zip"
    zip_path.write_bytes(packed.getvalue())

    found = unpack(path, work) + unpack(zip_path, work)

    assert [each.kind for each in found if isinstance(each, Unreadable)] == ["special file"] * 5
    assert len(found) == 5


def test_what_precedes_the_damage_in_a_compressed_file_is_kept(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "x.log.gz"
    noise = random.Random(7).randbytes(200_000)
    path.write_bytes(gzip.compress(noise)[:150_000])

    found = unpack(path, work)

    assert isinstance(found[0], tuple)
    assert len(found[0][1]) > 100_000
    assert noise.startswith(found[0][1])
    assert isinstance(found[1], Unreadable)
    assert found[1].kind == "damaged"


def test_garbage_behind_a_gzip_stream_costs_nothing_before_it(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "x.log.gz"
    path.write_bytes(gzip.compress(LINES) + b"garbage that is no gzip")

    found = unpack(path, work)

    assert found[0] == ("x.log.gz", LINES)
    assert isinstance(found[1], Unreadable)
    assert found[1].kind == "damaged"


def test_zeros_behind_a_gzip_stream_are_padding(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "x.log.gz"
    path.write_bytes(gzip.compress(LINES) + bytes(512))

    assert unpack(path, work) == [("x.log.gz", LINES)]


@pytest.mark.parametrize("maker", [*MAKERS, "gz"])
def test_no_truncation_raises_or_leaves_files_behind(maker: str, tmp_path: Path, work: Path) -> None:
    data = gzip.compress(LINES) if maker == "gz" else MAKERS[maker](CONTENT)
    path = tmp_path / "a"
    for length in sorted({*range(1, 64), *range(64, len(data), max(1, len(data) // 60))}):
        path.write_bytes(data[:length])
        if kind_of(data[:length]) is not None:
            found = unpack(path, work)
            assert found, f"cut at {length}: nothing said"


@pytest.mark.parametrize("maker", [*MAKERS, "gz"])
def test_no_flipped_byte_raises_or_leaves_files_behind(maker: str, tmp_path: Path, work: Path) -> None:
    data = gzip.compress(LINES) if maker == "gz" else MAKERS[maker](CONTENT)
    path = tmp_path / "a"
    chance = random.Random(11)
    positions = [
        *range(6, min(len(data), 100)),
        *(chance.randrange(len(data)) for _ in range(60)),
        *range(max(6, len(data) - 120), len(data)),
    ]
    for position in positions:
        changed = bytearray(data)
        changed[position] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        if kind_of(bytes(changed)) is not None:
            unpack(path, work, InputLimits(total_bytes=10_000_000))


def test_a_full_disk_is_a_limit(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object, /) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(descriptor: int, *_: object, **__: object) -> Full:
        os.close(descriptor)
        return Full()

    path = tmp_path / "a.zip"
    path.write_bytes(zipped(CONTENT))
    monkeypatch.setattr("os.fdopen", full)

    (found,) = unpack(path, work)

    assert isinstance(found, Unreadable)
    assert (found.kind, found.problem) == ("limit", "no space left in the work folder")


def test_text_is_no_archive() -> None:
    assert kind_of(b"") is None
    assert kind_of(b"PK but no zip") is None
    assert kind_of(b"BZh of nothing") is None
    assert kind_of(b"x" * 2_000) is None
    assert kind_of(bytes(2_000)) is None
