"""A click folder whose files are damaged at random: read, or refused with words; never another exception."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.bli.click_files import context_of, roi_line, spots, write_click
from tracker.bli.calibrate import calibrate
from tracker.bli.read import read, read_rois
from tracker.bli.recognise import recognise_files
from tracker.errors import InputError

TRUTH = spots((24, 24), [(12, 12, 3, 1e6)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    lines = (roi_line(1, "Circle", 960, 480, 192, 96, "a"), roi_line(2, "Contour", 0, 0, 0, 0, "c", "Points=1,1,5,1,5,5;"))
    return write_click(tmp_path_factory.mktemp("fuzz") / "c", TRUTH, corrected=TRUTH, rois=lines)


def damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, the end cut off, a part cut out, or two lines swapped."""
    kind, at = rng.integers(4), int(rng.integers(len(raw)))
    if kind == 0:
        changed = bytearray(raw)
        for place in rng.integers(len(raw), size=6):
            changed[place] = rng.integers(256)
        return bytes(changed)
    if kind == 1:
        return raw[:at]
    if kind == 2:
        return raw[:at] + raw[at + int(rng.integers(1, 200)) :]
    lines = raw.split(b"\r\n")
    one, other = rng.integers(len(lines), size=2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("seed", range(60))
def test_damage_is_refused_in_words_or_does_not_matter(whole, tmp_path, seed):
    rng = np.random.default_rng(seed)
    folder = tmp_path / "c"
    shutil.copytree(whole, folder)
    files = sorted(folder.iterdir())
    path = folder / "ClickInfo.txt" if seed % 2 else files[rng.integers(len(files))]
    path.write_bytes(damaged(path.read_bytes(), rng))
    (scan,) = recognise_files(sorted(folder.iterdir()))
    context = context_of(folder, constants={"image": ("counts", "corrected")[seed // 2 % 2]})
    for step in (lambda: calibrate(read(folder, "", context), context), lambda: read_rois(folder)):
        try:
            step()
        except InputError as error:
            assert error.what and (error.found or error.expected or error.do), scan.recognised.problem
