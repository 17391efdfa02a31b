"""The text of click folders: encodings, line ends, repeated keys, units beside keys; what the camera block holds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.bli.click_files import NAMES, C, Click, info_lines, write_click
from tracker.bli.camera import coefficient, flat_of, read_camera
from tracker.bli.clickinfo import Block, block_of, number_of, numbers_in, parse_blocks, read_click_text, value_of
from tracker.errors import InputError


def written(folder: Path, raw: bytes, name: str = "ClickInfo.txt") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(raw)
    return folder


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_line_ends_and_encodings_give_the_same_blocks(tmp_path, eol, encoding):
    lines = [*info_lines(Click()), "*** Remarks:", "Temperatur:\t-90 °C"]
    text = read_click_text(written(tmp_path / "c", eol.join(lines).encode(encoding)))
    plain = parse_blocks("\n".join(info_lines(Click())), tmp_path)
    typed = [b for b in plain if "Label" in b.name]
    assert [(b.name, b.file, b.entries) for b in text.blocks[:-1]] == [(b.name, b.file, b.entries) for b in plain if b not in typed]
    assert value_of(text.blocks[-1], "temperatur") == "-90 °C"


def test_file_names_in_any_case(tmp_path):
    folder = written(tmp_path / "c", b"*** luminescent image:\tx.TIF\nf Number:\t1", "CLICKINFO.TXT")
    assert value_of(block_of(read_click_text(folder), "Luminescent Image"), "F NUMBER") == "1"


def test_a_key_belongs_to_its_block_and_the_first_file_counts(tmp_path):
    folder = written(tmp_path / "c", b"*** a image:\na\nf Number:\t1\n*** b image:\nf Number:\t8\n")
    written(folder, b"*** a image:\nf Number:\t2\n", "AnalyzedClickInfo.txt")
    text = read_click_text(folder)
    assert value_of(block_of(text, "a image"), "f Number") == "1" and value_of(block_of(text, "b"), "f Number") == "8"


def test_one_key_with_two_values_in_a_block_is_refused():
    block = Block("image", "", (("f Number", "1"), ("f Number", "2")), Path("x"))
    with pytest.raises(InputError, match=r"key_twice.*f Number.*1, 2"):
        value_of(block, "f Number")
    assert value_of(Block("image", "", (("f Number", "1"), ("f Number", "1")), Path("x")), "f Number") == "1"


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("40", 40.0, ""),
        ("22.4 cm", 22.4, "cm"),
        ("7.223E+05", 7.223e5, ""),
        ("-3", -3.0, ""),
        (".5 Sec", 0.5, "sec"),
        ("2 # note", 2.0, ""),
    ],
)
def test_numbers_with_their_units(text, value, unit):
    (block,) = parse_blocks(f"*** b:\nkey:\t{text}", Path("x"))
    number = number_of(block, "key")
    assert number is not None and (number.value, number.unit) == (value, unit)


@pytest.mark.parametrize("text", ["forty", "0,5", "1/2", "--", "4 0"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError, match="bad_number"):
        number_of(Block("b", "", (("key", text),), Path("x")), "key")


def test_digits_of_names_are_no_numbers():
    assert numbers_in("k0,k1,k4,x0: 1,-2e-3 .5\t7.") == (1.0, -0.002, 0.5, 7.0)


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"just text", b"\x00\x01\x02binary"])
def test_a_file_that_is_no_click_info_is_refused(tmp_path, raw):
    with pytest.raises(InputError, match="clickinfo_unreadable"):
        read_click_text(written(tmp_path / "c", raw))


def test_a_folder_without_click_info_is_refused(tmp_path):
    with pytest.raises(InputError, match="not_a_click"):
        read_click_text(tmp_path)


def test_nothing_typed_by_people_is_kept(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    lines = [*info_lines(Click()), "*** Analysis User Input:", f"Name:\t{NAMES[0]}", "*** Analysis Comments:", f"Text:\t{NAMES[5]}"]
    (folder / "ClickInfo.txt").write_bytes("\r".join(lines).encode("utf-8"))
    kept = repr(read_click_text(folder))
    assert "Camera System Info" in kept
    for name in NAMES:
        assert name not in kept and name.split()[0] not in kept


def test_two_clicks_of_the_same_animals_are_known_without_their_names(tmp_path):
    texts = []
    for n, animal in enumerate(("1,2", "1,2", "3")):
        raw = f"*** User Label Name Set:\tx\nAnimal Number:\t{animal}\n*** image:\nf Number:\t1"
        texts.append(read_click_text(written(tmp_path / str(n), raw.encode())))
    assert texts[0].animals == texts[1].animals != texts[2].animals and texts[0].animals != 0


def test_the_camera_block(tmp_path):
    import numpy as np

    camera = read_camera(read_click_text(write_click(tmp_path / "c", np.ones((8, 8)))))
    assert {(fov, f): c for fov, f, c in camera.coefficients} == {k: pytest.approx(v) for k, v in C.items()}
    assert camera.saturation_counts == 61000 and dict(camera.shelves) == {"C": 12.5, "D": 22.4}
    assert [(f.centre_nm, f.width_nm, f.transmission) for f in camera.filters] == [(600, 20, 0.85), (620, 20, 0.87)]
    flat = flat_of(camera, 22.4, 1)
    assert flat is not None and flat.k == (1.0, 0.0, -2e-3, 0.0, 1e-6) and (flat.x0_cm, flat.y0_cm) == (0.4, -0.8)
    assert flat_of(camera, 22.4, 8) is None and flat_of(camera, 6.5, 1) is None


def test_a_missing_coefficient_lists_those_there(tmp_path):
    import numpy as np

    camera = read_camera(read_click_text(write_click(tmp_path / "c", np.ones((8, 8)))))
    assert coefficient(camera, 22.41, 1.0, tmp_path) == pytest.approx(7.223e5)
    with pytest.raises(InputError, match=r"no_calibration.*found 6.5 cm, f/1.*22.4 cm f/1, 22.4 cm f/2, 12.5 cm f/1, 12.5 cm f/4"):
        coefficient(camera, 6.5, 1.0, tmp_path)
    # Two fields of view that are neighbours in the maker's list are not taken for one another.
    with pytest.raises(InputError, match="no_calibration"):
        coefficient(camera, 13.0, 1.0, tmp_path)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["Coef C-ccd units:\tuW/cm2 per count", "Coef C-ccd at FOV 22.4, f1:\t7e5"], "calibration_unit"),
        (["Coef C-ccd at FOV 22.4, f1:\t7e5", "Coef C-ccd at FOV 22.40, f1:\t8e5"], "calibration_twice"),
        (["Coef C-ccd at FOV 22.4, f1:\t0"], "bad_number"),
        (["Shelf Position D FF5 f/1 Coefs:\t1,0,0"], "bad_flat_field"),
    ],
)
def test_a_calibration_that_leaves_more_than_one_answer(tmp_path, lines, code):
    shelf = ["*** Camera System Info:", "Shelf Position D FOV:\t22.4", "Coef C-ccd at FOV 12.5, f4:\t2e7"]
    camera = read_camera(read_click_text(written(tmp_path / "c", "\n".join([shelf[0], *lines, *shelf[1:]]).encode())))
    with pytest.raises(InputError, match=code):
        flat_of(camera, 22.4, 1) if "flat" in code else coefficient(camera, 22.4, 1, tmp_path)
    if code != "calibration_unit":
        assert coefficient(camera, 12.5, 4, tmp_path) == 2e7, "another setting's line is no reason to refuse this one"


@pytest.mark.parametrize("line", ["# C-ccd unit p/sec/cm2/sr", "Luminescent Calibration Units:\tp/sec/cm^2/sr", "# another line"])
def test_the_line_above_may_say_the_unit(tmp_path, line):
    raw = "\n".join(["*** Camera System Info:", line, "Coef C-ccd at FOV 22.4, f1:\t7e5"])
    (one,) = read_camera(read_click_text(written(tmp_path / "c", raw.encode()))).coefficients
    assert one == (22.4, 1.0, 7e5) and math.isfinite(one[2])
