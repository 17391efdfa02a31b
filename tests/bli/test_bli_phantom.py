"""The bioluminescence phantom: poses, counts and files, read by a plain parser and by tifffile, never by the code that reads clicks."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import label
from tifffile import imread

from tracker.bli.phantom import (
    Camera,
    Click,
    ClickOptions,
    Deposit,
    Luciferin,
    Mouse,
    Pose,
    VendorRoi,
    brightness,
    expose,
    mean_brightness,
    mouse_body,
    organ_light,
    peak_min,
    pixel_cm2,
    posed_labels,
    radiance,
    true_photons_per_cell,
    view_of,
    write_animal_raw,
    write_click,
    write_scan_raw,
    write_sequence,
    write_study_raw,
)
from tracker.bli.phantom.body import centres_mm
from tracker.bli.phantom.contract import contract_case
from tracker.bli.phantom.lying import bli_phantom
from tracker.bli.phantom.pose import View, camera_from_body, seen
from tracker.digital import digital_study
from tracker.errors import InputError
from tracker.modality import Modality, modalities
from tracker.study.model import Config, Corrections, Organs, Study
from tracker.study.rows import Acquisition, Bed, Dose, Label, Subject

QUIET = Camera(electrons_per_count=None, bias_slope=0.0, bias_level=400.0, dark_counts_per_s=0.0)
WEIGHT_G, VOXEL_MM = 25.0, 1.0


def parse(path: Path) -> dict[str, dict[str, str]]:
    """Block → key → value of a text file of a click."""
    blocks: dict[str, dict[str, str]] = {}
    block: dict[str, str] = {}
    for line in re.split(r"\r\n|\r|\n", path.read_bytes().decode("latin-1")):
        if line.startswith("***"):
            name, _, value = line.removeprefix("***").strip().partition(":")
            block = blocks.setdefault(name, {"": value.strip()})
        elif line and not line.startswith("#"):
            key, _, value = line.partition(":")
            block[key] = value.strip()
    return blocks


def by_hand(folder: Path, *, flat: bool = True) -> tuple[np.ndarray, float]:
    """Radiance (y, x) [photons/s/cm²/sr] and area of a pixel [cm²], as the format's page says, from the folder's files alone."""
    info = parse(folder / "ClickInfo.txt")
    image, camera = info["luminescent image"], info["Camera System Info"]
    counts = imread(folder / "luminescent.TIF").astype(float)
    bias = imread(folder / "readbiasonly.TIF") / float(info["readbiasonly image"]["Data Multiplier"])
    dark = imread(folder / "background.TIF") / float(info["background image"]["Data Multiplier"])
    t, b = float(image["Luminescent Exposure (Seconds)"]), float(image["Binning Factor"])
    fov = float(image["Field of View"])
    factor = float(camera[f"Coef C-ccd at FOV {fov:g}, f{image['f Number']}"])
    shelf = next(k.split()[2] for k, v in camera.items() if re.fullmatch(r"Shelf Position \w FOV", k) and float(v) == fov)
    *k, x0, y0 = (float(v) for v in camera[f"Shelf Position {shelf} FF5 f/1 Coefs"].split(","))
    n = counts.shape[0]
    along = (np.arange(n) + 0.5) * fov / n - fov / 2
    r = np.hypot(along[None, :] - x0, along[:, None] + y0)
    field = sum(c * r**p for p, c in enumerate(k)) if flat else 1.0
    light = counts - bias - dark * t / float(info["background image"]["Background Exposure (Seconds)"])
    return light * factor / (t * b**2) / field, (fov / n) ** 2


def flux(folder: Path) -> float:
    image, area = by_hand(folder)
    return float(4 * math.pi * image.sum() * area)


def spot(camera: Camera, ph_per_s: float, x_mm: float = 60.0, y_mm: float = 60.0, radius_mm: float = 5.0) -> np.ndarray:
    """A smooth round source on the stage of a known flux."""
    view = view_of(camera)
    along = (np.arange(view.columns) + 0.5) * view.fov_mm / view.columns
    bump = np.maximum(1 - ((along[None, :] - x_mm) ** 2 + (along[:, None] - y_mm) ** 2) / radius_mm**2, 0.0)
    return np.asarray(bump * ph_per_s / (4 * math.pi * bump.sum() * pixel_cm2(view)))


# --- pose ------------------------------------------------------------------------------------------------------------


def bright_place(image: np.ndarray, view: View) -> tuple[float, float]:
    """Middle of the light [mm]: x, y."""
    along = (np.arange(view.columns) + 0.5) * view.fov_mm / view.columns
    return float((image.sum(axis=0) * along).sum() / image.sum()), float((image.sum(axis=1) * along).sum() / image.sum())


@pytest.mark.parametrize(
    ("pose", "right", "down"),
    [
        # The spleen is on the animal's left and behind the middle of the trunk.
        (Pose(112, 112, 0, "supine"), 1, 1),
        (Pose(112, 112, 0, "prone"), -1, 1),
        (Pose(112, 112, 180, "supine"), -1, -1),
        # A quarter turn counter-clockwise: the head, which was up, is left; what was right is up, what was down is right.
        (Pose(112, 112, 90, "supine"), 1, -1),
        (Pose(112, 112, 90, "prone"), 1, 1),
    ],
)
def test_light_appears_where_the_pose_puts_it(pose: Pose, right: int, down: int) -> None:
    camera = Camera()
    image = radiance([Mouse(WEIGHT_G, pose, {"spleen": 1e7})], camera, "660", VOXEL_MM)
    x, y = bright_place(image, view_of(camera))
    assert math.copysign(1, x - 112) == right
    assert math.copysign(1, y - 112) == down
    assert abs(x - 112) > 4
    assert abs(y - 112) > 4


@pytest.mark.parametrize("pose", [Pose(80, 120, 25, "supine"), Pose(140, 90, -70, "prone")])
def test_posed_organs_lie_under_their_light(pose: Pose) -> None:
    """Organ map in the camera's frame, and image: two ways to the same place."""
    camera = Camera()
    organs = posed_labels(WEIGHT_G, pose, VOXEL_MM)
    index = next(n for n, name in organs.names.items() if name == "spleen")
    middle = (organs.grid.affine @ [*np.argwhere(organs.labels == index).mean(axis=0)[::-1], 1.0])[:2]
    assert middle == pytest.approx((camera_from_body(WEIGHT_G, pose) @ [-8.9, -0.5, -13.9, 1.0])[:2], abs=0.3)
    found = bright_place(radiance([Mouse(WEIGHT_G, pose, {"spleen": 1e7})], camera, "660", VOXEL_MM), view_of(camera))
    # The spleen lies at the flank: its light leans towards the middle of what the camera sees.
    assert np.hypot(*(middle - found)) < 3.5
    # All of the animal is in the map, on the stage and not below it.
    volume_ml = (organs.labels > 0).sum() * VOXEL_MM**3 / 1000
    assert volume_ml == pytest.approx((mouse_body(WEIGHT_G, VOXEL_MM).labels > 0).sum() * VOXEL_MM**3 / 1000, rel=0.01)
    heights = organs.grid.affine[2, 3] + organs.grid.affine[2, 2] * np.flatnonzero((organs.labels > 0).any(axis=(1, 2)))
    assert heights.max() == pytest.approx(0.0, abs=VOXEL_MM)
    assert heights.min() < -18


def test_the_camera_sees_the_top_alone() -> None:
    """4π Σ L · area = 4 Σ J · area seen from above (Lambert), worked out on the body's own columns; and the same at any angle."""
    size = 0.7
    body, found = mouse_body(WEIGHT_G, size), organ_light(WEIGHT_G, size, 660, "liver")
    expected = {}
    for lies, order in (("supine", slice(None)), ("prone", slice(None, None, -1))):
        inside, outward = (body.labels > 0)[:, order], found.outward[:, order]
        top = np.take_along_axis(outward, inside.argmax(axis=1)[:, None, :], axis=1)[:, 0, :]
        expected[lies] = 4 * float((top * inside.any(axis=1)).sum()) * size**2
    view = View(240, 224.0)
    for lies in expected:
        for angle in (0.0, 33.0, 90.0):
            image = seen(WEIGHT_G, body, found.outward, Pose(112, 112, angle, lies), view)
            # The silhouette is smooth in one and of columns in the other, and much of the liver's light comes out near it.
            assert 4 * math.pi * image.sum() * pixel_cm2(view) == pytest.approx(expected[lies], rel=0.05)
    # The liver is ventral.
    assert expected["supine"] > 2 * expected["prone"]


def test_an_animal_half_outside_the_image_is_cut_off() -> None:
    camera = Camera(shelf="B")
    inside = radiance([Mouse(WEIGHT_G, Pose(32, 32), {"liver": 1e7})], camera, "660", VOXEL_MM)
    across = radiance([Mouse(WEIGHT_G, Pose(0, 32), {"liver": 1e7})], camera, "660", VOXEL_MM)
    assert 0.2 * inside.sum() < across.sum() < 0.8 * inside.sum()
    assert not radiance([Mouse(WEIGHT_G, Pose(-200, 32), {"liver": 1e7})], camera, "660", VOXEL_MM).any()


def test_a_wrong_pose_or_setting_is_refused() -> None:
    for wrong in (
        lambda: Pose(0, 0, 0, "standing"),
        lambda: Camera(shelf="E"),
        lambda: Camera(binning=3),
        lambda: Camera(f_number=3),
        lambda: ClickOptions(dark_file="bad"),
        lambda: Luciferin(0.04, 0.2),
    ):
        with pytest.raises(ValueError):
            wrong()


# --- light, cells, luciferin -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_twice_the_cells_twice_the_light() -> None:
    camera = Camera()
    once, twice, both, other = (
        radiance([Mouse(WEIGHT_G, Pose(112, 112), light)], camera, "Open", VOXEL_MM)
        for light in ({"liver": 1e6}, {"liver": 2e6}, {"liver": 1e6, "spleen": 5e6}, {"spleen": 5e6})
    )
    assert twice == pytest.approx(2 * once, rel=1e-9)
    assert both == pytest.approx(once + other, rel=1e-6, abs=once.max() * 1e-7)


def test_open_is_the_sum_of_the_bands_and_glow_adds() -> None:
    camera = Camera()
    mouse = Mouse(WEIGHT_G, Pose(112, 112), {"lung_left": 1e7})
    bands = sum(radiance([mouse], camera, str(nm), VOXEL_MM) for nm in range(540, 740, 20))
    assert radiance([mouse], camera, "Open", VOXEL_MM) == pytest.approx(bands, rel=1e-9)
    glowing = radiance([replace(mouse, glow=1000.0)], camera, "Open", VOXEL_MM) - bands
    assert glowing.max() == pytest.approx(1000.0)
    assert glowing[:, 0].max() == 0.0


@pytest.mark.slow
def test_a_deposit_is_brighter_the_nearer_it_is() -> None:
    seen_ph_per_s = []
    for y in (8.0, 4.0, 0.0):
        mouse = Mouse(WEIGHT_G, Pose(112, 112), deposits=(Deposit(1e6, (0.0, y, -24.0)),))
        image = radiance([mouse], Camera(), "640", 0.7)
        seen_ph_per_s.append(4 * math.pi * image.sum() * pixel_cm2(view_of(Camera())))
    assert seen_ph_per_s[0] > 2 * seen_ph_per_s[1] > 4 * seen_ph_per_s[2] > 0


def test_luciferin_rises_and_falls() -> None:
    course = Luciferin()
    at = np.linspace(0, 60, 6001)
    b = [mean_brightness(course, t, 0.01) for t in at]
    assert at[int(np.argmax(b))] == pytest.approx(peak_min(course), abs=0.02)
    assert 9 < peak_min(course) < 13
    assert max(b) == pytest.approx(1.0, abs=1e-5)
    assert b[50] == 0.0
    # The mean over an exposure is the mean of the moments in it, the lag included.
    assert mean_brightness(course, 0.0, 20.0) == pytest.approx(np.mean(b[:2000]), rel=1e-3)


# --- counts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        QUIET,
        replace(QUIET, shelf="C", f_number=2, exposure_s=20.0),
        replace(QUIET, shelf="C", binning=4, exposure_s=120.0),
        replace(QUIET, binning=16, f_number=4, exposure_s=60.0),
        replace(QUIET, shelf="D", f_number=8, exposure_s=300.0),
    ],
)
def test_flux_comes_back_at_any_setting(setting: Camera, tmp_path: Path) -> None:
    write_click(tmp_path, Click(spot(setting, 2e7), setting, ClickOptions()))
    # Half a count in each pixel; the polynomial and C have six or seven digits.
    assert flux(tmp_path) == pytest.approx(2e7, rel=2e-3)


def test_flat_field_is_dimmer_outside_and_not_in_the_middle() -> None:
    even = expose(np.full((240, 240), 3e6), QUIET).counts.astype(float) - 400
    # x0 = 3.5 mm to the right, y0 = -4.8 mm: below the middle, as rows count downwards and y0 up.
    assert even[120, 230] > even[120, 9] + 50
    assert even[230, 120] > even[9, 120] + 50
    assert 0.85 < even[120, 12] / even.max() < 0.95


def test_noise_is_that_of_photons_and_reading() -> None:
    camera = Camera(electrons_per_count=1.6, read_noise_electrons=6.0, dark_counts_per_s=2.0, exposure_s=30.0)
    for level in (0.0, 1e5, 2e6):
        one, other = (expose(np.full((240, 240), level), replace(camera, seed=seed)) for seed in (1, 2))
        both = (one.counts.astype(float) + other.counts) / 2 - one.bias
        variance = (one.counts.astype(float) - other.counts).var() / 2
        # (signal + dark) / g + (read noise / g)² + 1/12 of rounding; 57 600 pixels tell a variance to 0.6 %.
        assert variance == pytest.approx(both.mean() / 1.6 + (6.0 / 1.6) ** 2 + 1 / 12, rel=0.03), level


def test_saturation_cosmic_hits_and_seeds() -> None:
    camera = Camera(cosmic_hits=40, seed=3)
    bright = expose(np.full((240, 240), 1e9), camera)
    assert bright.counts.dtype == np.uint16
    assert (bright.counts == 61000).all()
    dark = expose(np.zeros((240, 240)), camera)
    assert dark.hits.sum() == 40
    assert dark.counts[dark.hits].min() > dark.counts[~dark.hits].max()
    assert (expose(np.zeros((240, 240)), camera).counts == dark.counts).all()
    assert (expose(np.zeros((240, 240)), replace(camera, seed=4)).counts != dark.counts).any()


# --- files -------------------------------------------------------------------------------------------------------------


def test_files_and_text_of_a_click(tmp_path: Path) -> None:
    camera = Camera(cosmic_hits=4)
    options = ClickOptions(start=datetime(2026, 3, 2, 10, 10, 30), corrected=True, luciferin_time="10:00", animal_numbers="1,2,3")
    write_click(tmp_path / "AB1", Click(spot(camera, 5e7), camera, options))
    assert sorted(p.name for p in (tmp_path / "AB1").iterdir()) == [
        "AnalyzedClickInfo.txt", "ClickInfo.txt", "background.TIF", "luminescent.TIF", "luminescentFloatCorrected.TIF", "photograph.TIF",
        "readbias.TIF", "readbiasonly.TIF",
    ]  # fmt: skip
    info = parse(tmp_path / "AB1/ClickInfo.txt")
    image = info["luminescent image"]
    assert image[""] == "luminescent.TIF"
    assert image["Acquisition Date"] == "Monday, March 02, 2026"
    assert image["Acquisition Time"] == "10:10:30"
    seconds = timedelta(seconds=int(image["Acquisition Seconds"]))
    assert datetime(1904, 1, 1) + seconds == options.start
    assert info["Camera System Info"]["CCD Saturation Level"] == "61000"
    assert float(info["Camera System Info"]["Coef C-ccd at FOV 22.4, f1"]) == pytest.approx(7.223e5)
    assert info["luminescentFloatCorrected image"]["Intensity Calibration"] == "Radiance (Photons)"
    assert info["User Label Name Set"]["Animal Number"] == "1,2,3"
    assert "Élodie" in info["User Label Name Set"]["User"]
    per_count = float(parse(tmp_path / "AB1/AnalyzedClickInfo.txt")["Graph Controls"]["Calibration Value Per Count"])
    assert per_count == pytest.approx(7.223e5 / 40 / 64)
    kinds = {"luminescent": (240, np.uint16), "photograph": (960, np.uint16), "luminescentFloatCorrected": (240, np.float32)}
    for name, (columns, kind) in kinds.items():
        found = imread(tmp_path / f"AB1/{name}.TIF")
        assert (found.shape, found.dtype) == ((columns, columns), kind)


def test_the_vendors_image_is_warped_and_has_the_same_sum(tmp_path: Path) -> None:
    camera = Camera(cosmic_hits=6, seed=8)
    truth = spot(camera, 3e6, 150.0, 70.0)
    frames = write_click(tmp_path, Click(truth, camera, ClickOptions(corrected=True)))
    made, (mine, area) = imread(tmp_path / "luminescentFloatCorrected.TIF"), by_hand(tmp_path)
    assert made.min() < 0
    box = np.s_[50:100, 130:190]
    assert not frames.hits[box].any()
    # By noise of 3000 pixels and the warp: half a percent of 3e6 photons/s.
    assert 4 * math.pi * made[box].sum() * area == pytest.approx(3e6, rel=0.02)
    assert made[box].sum() == pytest.approx(mine[box].sum(), rel=0.01)
    # Pixels do not agree.
    assert np.abs(made - mine)[box].max() > 0.1 * mine[box].max()
    assert np.abs(made).max() < np.abs(mine).max()  # hits are gone


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_line_ends_and_encodings(newline: str, encoding: str, tmp_path: Path) -> None:
    write_click(tmp_path, Click(np.zeros((240, 240)), Camera(), ClickOptions(newline=newline, encoding=encoding)))
    raw = (tmp_path / "ClickInfo.txt").read_bytes()
    assert raw.count(newline.encode()) > 40
    assert (b"\n" in raw) == ("\n" in newline)
    assert "Müßig".encode(encoding) in raw


def test_bias_and_dark_frames_as_stored(tmp_path: Path) -> None:
    camera, dark = Camera(dark_counts_per_s=0.5), np.zeros((240, 240))
    for name, options in {
        "plain": ClickOptions(),
        "ten": ClickOptions(bias_multiplier=10),
        "with_bias": ClickOptions(dark_holds_bias=True),
        "constant": ClickOptions(bias_files="constant", dark_file="constant"),
        "missing": ClickOptions(bias_files="missing", dark_file="missing"),
    }.items():
        write_click(tmp_path / name, Click(dark, camera, options))
    bias = {name: imread(tmp_path / name / "readbiasonly.TIF").astype(float) for name in ("plain", "ten", "constant")}
    assert bias["plain"].mean() == pytest.approx(412, abs=1)
    assert np.ptp(bias["plain"]) >= 5
    assert bias["ten"] / 10 == pytest.approx(bias["plain"], abs=0.5)
    assert (bias["constant"] == 65534).all()
    stored = imread(tmp_path / "plain/background.TIF")
    # 0.5 counts/s for 60 s, ten times.
    assert stored.mean() == pytest.approx(300, rel=0.01)
    assert parse(tmp_path / "plain/ClickInfo.txt")["background image"]["Data Multiplier"] == "10"
    assert imread(tmp_path / "with_bias/background.TIF").mean() == pytest.approx(300 + 4120, rel=0.01)
    assert not list((tmp_path / "missing").glob("*b*a*s*.TIF"))
    assert "background image" not in parse(tmp_path / "missing/ClickInfo.txt")


def test_exposure_in_other_units(tmp_path: Path) -> None:
    for unit, number in (("sec", 90.0), ("min", 1.5), ("msec", 90000.0)):
        write_click(tmp_path / unit, Click(np.zeros((240, 240)), Camera(exposure_s=90.0), ClickOptions(exposure_unit=unit)))
        image = parse(tmp_path / unit / "ClickInfo.txt")["luminescent image"]
        assert float(image["Luminescent Exposure (Seconds)"]) == number
        assert image["Luminescent Exposure Units"] == unit


def test_vendor_regions_are_in_pixels_of_the_chip(tmp_path: Path) -> None:
    rois = (VendorRoi(112.0, 56.0, 22.4, 11.2), VendorRoi(10.0, 20.0, 5.0, 5.0, "Square", 30.0, "ROI 2", "m7"))
    write_click(tmp_path, Click(np.zeros((240, 240)), Camera(), ClickOptions(rois=rois)))
    lines = [v for k, v in parse(tmp_path / "AnalyzedClickInfo.txt")["ROIs"].items() if k.startswith("ROI")]
    first, second = (dict(part.split("=", 1) for part in line.split(";")) for line in lines)
    assert [float(first[k]) for k in ("Xc", "Yc", "Width", "Height")] == pytest.approx([960, 480, 192, 96], rel=1e-4)
    assert (first["Shape"], first["Label"], first["Subject ID"]) == ("Circle", "", "")
    assert (second["Shape"], second["Angle"], second["Label"], second["Subject ID"]) == ("Square", "30", "ROI 2", "m7")
    assert float(first["cm per pixel"]) == pytest.approx(0.011667, rel=1e-4)
    assert "ROIs" not in parse(tmp_path / "ClickInfo.txt")


def test_other_traps_of_a_folder(tmp_path: Path) -> None:
    options = ClickOptions(analyzed=False, photograph=False, with_flat=False, with_coefficients=False, excitation="500", byteorder=">")
    write_click(tmp_path, Click(np.zeros((240, 240)), Camera(), options))
    assert not (tmp_path / "AnalyzedClickInfo.txt").exists()
    assert not (tmp_path / "photograph.TIF").exists()
    text = (tmp_path / "ClickInfo.txt").read_text(encoding="latin-1")
    assert "Coefs" not in text
    assert "Coef C-ccd" not in text
    assert parse(tmp_path / "ClickInfo.txt")["luminescent image"]["Excitation filter"] == "500"
    assert (tmp_path / "luminescent.TIF").read_bytes()[:2] == b"MM"
    with pytest.raises(ValueError, match="240 columns"):
        write_click(tmp_path, Click(np.zeros((100, 100)), Camera(), ClickOptions()))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_photograph_shows_so_many_animals(count: int, tmp_path: Path) -> None:
    mice = [Mouse(20.0 + n, Pose(112 + 42 * (n - (count - 1) / 2), 112, 4.0 * n)) for n in range(count)]
    write_click(tmp_path, Click(np.zeros((240, 240)), Camera(), ClickOptions()), brightness(mice, Camera()))
    photo = imread(tmp_path / "photograph.TIF")
    bodies, found = label(photo > 5000)
    assert found == count
    sizes = np.bincount(bodies.ravel())[1:]
    # A mouse of 25 g covers some 17 to 20 cm².
    assert sizes * (22.4 / 960) ** 2 == pytest.approx(np.full(count, 18.0), rel=0.25)


def test_sequence_folder(tmp_path: Path) -> None:
    clicks = [
        Click(spot(QUIET, 1e7 * n), QUIET, ClickOptions(emission=name, start=datetime(2026, 3, 2, 10, n)))
        for n, name in enumerate(("Open", "600", "660"), start=1)
    ]
    write_sequence(tmp_path / "S_SEQ", clicks)
    told = parse(tmp_path / "S_SEQ/SequenceInfo.txt")["SequenceInfo"]
    names = [told[f"ClickNumber {n}"] for n in (1, 2, 3)]
    assert names == ["S_SEQ_001", "S_SEQ_002", "S_SEQ_003"]
    assert [parse(tmp_path / "S_SEQ" / n / "ClickInfo.txt")["luminescent image"]["Emission filter"] for n in names] == [
        "Open",
        "600",
        "660",
    ]
    assert [flux(tmp_path / "S_SEQ" / n) for n in names] == pytest.approx([1e7, 2e7, 3e7], rel=2e-3)


# --- contract and study ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 1.0, 2.0])
def test_contract_case_holds_its_flux_in_its_regions(strength: float, tmp_path: Path) -> None:
    case = contract_case(tmp_path, strength)
    image, area = by_hand(case.context.acquisition.path)
    mm = 224.0 / len(image)
    along = (np.arange(len(image)) + 0.5) * mm
    for roi in case.context.rois:
        assert None not in (roi.x_mm, roi.y_mm, roi.width_mm, roi.height_mm)
        x, y, w, h = (float(v or 0) for v in (roi.x_mm, roi.y_mm, roi.width_mm, roi.height_mm))
        inside = ((along[None, :] - x) * 2 / w) ** 2 + ((along[:, None] - y) * 2 / h) ** 2 <= 1
        found = 4 * math.pi * image[inside].sum() * area
        assert found == pytest.approx(case.amounts[roi.organ], rel=case.rounding, abs=0.0)
    everything = 4 * math.pi * image.sum() * area
    assert everything == pytest.approx(sum(case.amounts.values()), rel=case.rounding)
    assert imread(case.context.acquisition.path / "luminescent.TIF").max() < 61000


DOSED = datetime(2026, 3, 2, 9, 0)
PHANTOM: dict[str, Any] = {"voxel_mm": 1.2, "photons_per_s_per_cell": 200.0}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phantom can be tried before its folder has the file that makes it a modality."""
    own = Modality("bli", ("bli",), "image", Path())
    if "bli" not in {m.package for m in modalities()}:
        monkeypatch.setattr("tracker.digital.study.modalities", lambda: (*modalities(), own))


def study(root: Path, bli: dict[str, Any], *, together: int = 0, seed: int = 7, reporter: Label | None = None) -> Study:
    """Two sessions of one animal, or ``together`` animals in one image a session."""
    names = [f"m{n}" for n in range(1, (together or 1) + 1)]
    subjects = tuple(Subject(n, "mouse", 22.0 + k, group="healthy") for k, n in enumerate(names))
    doses = tuple(Dose(n, DOSED, "luc", 1e6, "intravenous") for n in names)
    rows = tuple(
        Acquisition(n, s, "bli", root / f"raw/{'all' if together else n}/{s}", s, role="baseline" if s == "b" else "followup", label="luc")
        for n in names
        for s in ("b", "h024")
    )
    shared = [(s, k, n) for k, n in enumerate(names if together else (), start=1) for s in ("b", "h024")]
    beds = tuple(Bed(s, "bli", str(root / f"raw/all/{s}"), str(k), n, "image") for s, k, n in shared)
    phantom = {"seed": seed, "session_hours": {"b": -24, "h024": 24}, "voxel_mm": 1.5, "bli": PHANTOM | bli}
    config = Config("digital", Organs(), Corrections(), (), {}, phantom)
    label = reporter or Label("luc", "reporter", dilutes=False, doubling_time_h=48.0)
    return Study(config, root / "config.yaml", root, subjects, doses, (label,), rows, beds=beds)


def test_study_writes_images_and_truth(tmp_path: Path) -> None:
    one = study(tmp_path, {"electrons_per_count": None})
    write_animal_raw(one, "bli", "m1", tmp_path / "truth.csv")
    with (tmp_path / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["session"] for r in rows} == {"b", "h024"}
    assert {float(r["label_amount"]) for r in rows if r["session"] == "b"} == {0.0}
    later = [r for r in rows if r["session"] == "h024"]
    for row in later:
        assert float(row["label_amount"]) == pytest.approx(200.0 * float(row["cells_viable"]), rel=1e-6)
        assert float(row["injected_percent"]) == pytest.approx(float(row["cells_viable"]) / 1e4, rel=1e-6)
        assert float(row["time_h"]) == pytest.approx(24 + 20 / 3600, abs=1e-6)
    assert 0 < sum(float(r["cells_viable"]) for r in later) < 1.5e6
    # Dark without cells, but for the rounding of 57 600 pixels and their bias: a count is 31 photons/s. With cells, a share of their
    # light comes out on top.
    assert flux(tmp_path / "raw/m1/b") == pytest.approx(0.0, abs=5e3)
    held = sum(float(r["label_amount"]) for r in later)
    assert 0.02 * held < flux(tmp_path / "raw/m1/h024") < 0.5 * held
    image = parse(tmp_path / "raw/m1/h024/ClickInfo.txt")["luminescent image"]
    assert (image["Acquisition Date"], image["Acquisition Time"]) == ("Tuesday, March 03, 2026", "09:00:00")


def test_twice_the_light_per_cell_is_twice_the_flux(tmp_path: Path) -> None:
    found = []
    for factor in (1, 2):
        one = study(tmp_path / str(factor), {"electrons_per_count": None, "photons_per_s_per_cell": 200.0 * factor})
        write_scan_raw(one, one.acquisitions[1])
        found.append(flux(one.acquisitions[1].path))
    assert found[1] == pytest.approx(2 * found[0], rel=2e-3)


def test_cells_divide_whether_or_not_the_reporter_is_thinned(tmp_path: Path) -> None:
    cells = []
    for name, label_row in {
        "own": Label("luc", "reporter", dilutes=False, doubling_time_h=24.0),
        "still": Label("luc", "reporter", dilutes=False),
    }.items():
        one = study(tmp_path / name, {}, reporter=label_row)
        cells.append(sum(r.cells_viable for r in write_scan_raw(one, one.acquisitions[1])))
    assert cells[0] == pytest.approx(2 * cells[1], rel=0.01)


def test_series_follow_luciferin_and_filters(tmp_path: Path) -> None:
    bli = {"electrons_per_count": None, "emissions": ("Open", "620", "660"), "frames": 4, "interval_s": 260.0, "minutes_after": 4.0}
    one = study(tmp_path, bli)
    rows = write_scan_raw(one, one.acquisitions[1])
    folder = one.acquisitions[1].path
    clicks = sorted(p for p in folder.iterdir() if p.is_dir())
    assert len(clicks) == 6
    info = [parse(p / "ClickInfo.txt")["luminescent image"] for p in clicks]
    assert [i["Emission filter"] for i in info] == ["Open"] * 4 + ["620", "660"]
    starts = [int(i["Acquisition Seconds"]) for i in info]
    assert np.diff(starts).tolist() == [300] * 5
    found = [flux(p) for p in clicks]
    course = [mean_brightness(Luciferin(), 4.0 + 5.0 * n, 40 / 60) for n in range(4)]
    assert found[:4] == pytest.approx([found[0] * c / course[0] for c in course], rel=5e-3)
    assert found[4] < found[0]
    assert rows[0].time_h == pytest.approx(24 + (5 * 300 + 40) / 7200)


def test_luciferin_time_of_the_sheet_counts(tmp_path: Path) -> None:
    one = study(tmp_path, {"electrons_per_count": None})
    row = one.acquisitions[1]
    write_scan_raw(one, row)
    usual = flux(row.path)
    late = replace(row, luciferin_time=DOSED + timedelta(hours=24, minutes=-30))
    write_scan_raw(replace(one, acquisitions=(late,)), late)
    course = [mean_brightness(Luciferin(), t, 40 / 60) for t in (10.0, 30.0)]
    assert flux(row.path) / usual == pytest.approx(course[1] / course[0], rel=5e-3)


@pytest.mark.slow
def test_animals_share_an_image_from_left_to_right(tmp_path: Path) -> None:
    one = study(tmp_path, {"electrons_per_count": None, "glow": 1000.0, "vendor_rois": True}, together=3)
    for subject in ("m2", "m1", "m3"):
        write_animal_raw(one, "bli", subject, tmp_path / f"{subject}.csv")
    folder = tmp_path / "raw/all/h024"
    photo = imread(folder / "photograph.TIF")
    bodies, count = label(photo > 5000)
    assert count == 3
    # Places 1, 2 and 3 of five; heavier animals to the right.
    middles = [float(np.argwhere(bodies == n)[:, 1].mean()) * 224 / 960 for n in (1, 2, 3)]
    assert sorted(middles) == pytest.approx([28, 70, 112], abs=1.5)
    sizes = [int((bodies == n).sum()) for n in np.argsort(middles) + 1]
    assert sizes == sorted(sizes)
    assert len([k for k in parse(folder / "AnalyzedClickInfo.txt")["ROIs"] if k.startswith("ROI")]) == 3
    # Each animal's job finds the files that are there already.
    assert not list((tmp_path / "raw/all").glob(".h024*"))


@pytest.mark.slow
def test_each_animals_job_writes_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for subject in ("m1", "m2"):
        one = study(tmp_path / subject, {"cosmic_hits": 3, "photons_cv_percent": 20, "angle_sd_deg": 5.0}, together=2)
        write_animal_raw(one, "bli", subject, tmp_path / subject / "truth.csv")
        files = sorted(p for p in (tmp_path / subject / "raw").rglob("*") if p.is_file())
        digests.append([(p.relative_to(tmp_path / subject).as_posix(), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files])
    assert digests[0] == digests[1]
    other = study(tmp_path / "other", {"cosmic_hits": 3, "photons_cv_percent": 20}, together=2, seed=8)
    phantoms = [(bli_phantom(s), digital_study(s)) for s in (one, other)]
    assert true_photons_per_cell(*phantoms[0]) != true_photons_per_cell(*phantoms[1])


def test_an_image_needs_all_its_animals(tmp_path: Path) -> None:
    one = study(tmp_path, {}, together=2)
    alone = replace(one, acquisitions=one.acquisitions[:2], subjects=one.subjects[:1], doses=one.doses[:1])
    with pytest.raises(InputError, match=r"phantom_sheets.*no rows of m2"):
        write_scan_raw(alone, alone.acquisitions[1])
    later = replace(one, doses=(one.doses[0], replace(one.doses[1], dose_time=DOSED + timedelta(hours=1))))
    with pytest.raises(InputError, match=r"phantom_sheets.*one time"):
        write_scan_raw(later, later.acquisitions[1])


def test_wrong_config_and_real_data_are_refused(tmp_path: Path) -> None:
    for bli in ({"frame": 3}, {"frames": 0}, {"lies": "standing"}, {"emissions": ()}):
        with pytest.raises(InputError, match="phantom_config"):
            bli_phantom(study(tmp_path, bli))
    one = study(tmp_path, {})
    folder = one.acquisitions[1].path
    folder.mkdir(parents=True)
    (folder / "luminescent.TIF").write_bytes(b"somebody's")
    with pytest.raises(InputError, match="phantom_would_overwrite"):
        write_scan_raw(one, one.acquisitions[1])
    assert (folder / "luminescent.TIF").read_bytes() == b"somebody's"


def test_organ_map_is_posed_and_a_second_run_leaves_nothing_behind(tmp_path: Path) -> None:
    import nibabel as nib

    one = study(tmp_path, {"emissions": ("Open", "660"), "electrons_per_count": None})
    row = replace(one.acquisitions[1], organs=tmp_path / "raw/m1/organs.nii.gz")
    write_scan_raw(one, row)
    image: Any = nib.load(row.organs)
    x, y = image.affine[:2, :3] @ (np.array(image.shape) - 1) / 2 + image.affine[:2, 3]
    assert (x, y) == pytest.approx((112.0, 112.0), abs=0.1)
    again = study(tmp_path, {"electrons_per_count": None})
    write_scan_raw(again, row)
    assert not [p for p in row.path.rglob("*") if p.is_file() and p.parent != row.path]
    assert (row.path / "luminescent.TIF").is_file()


def test_study_truth_of_all_animals(tmp_path: Path) -> None:
    path = write_study_raw(study(tmp_path, {}))
    with path.open(newline="") as file:
        assert {r["subject"] for r in csv.DictReader(file)} == {"m1"}


def test_centres_run_as_the_arrays_do() -> None:
    body = mouse_body(WEIGHT_G, VOXEL_MM)
    x, y, z = centres_mm(body.grid)
    spleen = body.labels == next(n for n, name in body.names.items() if name == "spleen")
    middle = [float(np.broadcast_to(a, body.labels.shape)[spleen].mean()) for a in (x, y, z)]
    assert middle == pytest.approx([-8.9, -0.5, -13.9], abs=0.3)
