"""Which files of a folder are read: litter, broken links and bombs are left out, each with its reason."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from tracker.dicom import read_instances, walk
from tracker.errors import InputError


def reasons(path: Path) -> dict[str, str]:
    return {d.path.name: d.reason for d in walk(path).dropped}


def test_litter_is_named_and_dicom_found_at_any_depth(tmp_path, write_slice):
    kept = [write_slice("b/2.dcm", 1), write_slice("a/deep/er/1", 0), write_slice("ünïcode ß/3.dcm", 2)]
    (tmp_path / ".DS_Store").write_bytes(b"Bud1")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "._1.dcm").write_bytes(b"x" * 200)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("mouse 7 was late")
    (tmp_path / "short.dcm").write_bytes(b"DICM")
    found = walk(tmp_path)
    assert sorted(found.files) == sorted(kept)
    assert reasons(tmp_path) == {
        ".DS_Store": "litter",
        "Thumbs.db": "litter",
        "._1.dcm": "litter",
        "DICOMDIR": "litter",
        "empty.dcm": "empty",
        "notes.txt": "not_dicom",
        "short.dcm": "not_dicom",
    }


def test_a_path_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(InputError, match="path_missing"):
        walk(tmp_path / "gone")


def test_a_single_file_is_read_alone(write_slice):
    one = write_slice("a.dcm", 0)
    write_slice("b.dcm", 1)
    assert walk(one).files == (one,)


def test_links_are_not_followed_out_of_the_folder_nor_in_circles(tmp_path, write_slice):
    outside = write_slice("elsewhere/1.dcm", 0)
    inside = write_slice("scan/2.dcm", 1)
    scan = inside.parent
    (scan / "out.dcm").symlink_to(outside)
    (scan / "outdir").symlink_to(outside.parent)
    (scan / "self").symlink_to(scan / "self")
    (scan / "gone").symlink_to(scan / "nothing")
    (scan / "sub").mkdir()
    (scan / "sub" / "up").symlink_to(scan)
    assert walk(scan).files == (inside,)
    assert reasons(scan) == {"out.dcm": "link_outside", "outdir": "link_outside", "self": "broken_link", "gone": "broken_link"}


def test_an_unreadable_file_or_folder_is_named_and_the_rest_read(tmp_path, write_slice, monkeypatch):
    good, bad = write_slice("scan/1.dcm", 0), write_slice("scan/2.dcm", 1)
    (tmp_path / "scan" / "closed").mkdir()
    real_open, real_scandir = Path.open, os.scandir

    # As root no mode keeps a file closed: the operating system's answer is given here instead.
    def denied_open(self, *args, **kwargs):
        if self.name == bad.name:
            raise PermissionError(13, "Permission denied")
        return real_open(self, *args, **kwargs)

    def denied_scandir(folder):
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real_scandir(folder)

    monkeypatch.setattr(Path, "open", denied_open)
    monkeypatch.setattr(os, "scandir", denied_scandir)
    found = walk(tmp_path / "scan")
    assert found.files == (good,)
    assert {(d.path.name, d.reason) for d in found.dropped} == {("2.dcm", "unreadable"), ("closed", "unreadable")}


def test_row_37_a_deflated_bomb_is_refused_before_it_is_inflated(tmp_path, write_slice):
    path = write_slice("bomb.dcm", 0)
    content = path.read_bytes()
    # 200 MB of zeros behind a header that says deflated: 0.2 MB on the disk.
    packed = zlib.compressobj(9, wbits=-15)
    body = packed.compress(bytes(200_000_000)) + packed.flush()
    meta = content[: 132 + 12 + int.from_bytes(content[140:144], "little")]
    path.write_bytes(meta.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99") + body)
    assert path.stat().st_size < 1_000_000
    dropped = walk(path).dropped
    assert [d.reason for d in dropped] == ["deflated"] and "uncompressed" in dropped[0].detail


def test_a_preamble_with_rubbish_behind_it_is_unparsable_not_fatal(tmp_path, write_slice):
    good = write_slice("1.dcm", 0)
    bad = tmp_path / "2.dcm"
    bad.write_bytes(bytes(128) + b"DICM" + os.urandom(7))
    instances, dropped = read_instances(walk(tmp_path).files)
    assert [i.path for i in instances if i.pixel_bytes] == [good]
    assert all(d.path == bad for d in dropped)
