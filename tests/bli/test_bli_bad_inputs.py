"""Bad input of click folders, by the numbers of the table of bad inputs: each with its message or flag."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tifffile import imread, imwrite

from tests.bli.click_files import START, C, context_of, flux, reason, roi_line, spots, statuses, write_click
from tracker.bli.calibrate import calibrate
from tracker.bli.read import read, read_rois
from tracker.errors import InputError
from tracker.image import Quantity

SHAPE = (60, 60)
TRUTH = spots(SHAPE, [(30, 30, 3, 1e6)])
PER_COUNT = C[22.4, 1] / (40 * 64)


def calibrated(path: Path, **more: object) -> Quantity:
    context = context_of(path, **more)
    return calibrate(read(path, context.acquisition.series, context), context)


def refused(path: Path, **more: object) -> str:
    with pytest.raises(InputError) as caught:
        calibrated(path, **more)
    assert caught.value.where or caught.value.found, "says what was found, or where"
    return str(caught.value)


# 71 saturated ------------------------------------------------------------------------------------------------------------------------


def test_71_saturated_pixels_are_marked_with_what_could_be_told(tmp_path):
    q = calibrated(write_click(tmp_path / "c", spots(SHAPE, [(30, 30, 5, 3e7)])))
    # The file holds a little more than the sensor's level: what was read there is at the limit or above.
    assert q.censored.sum() > 10 and (q.values[q.censored] >= 0.999 * q.limit[q.censored]).all()
    q = calibrated(write_click(tmp_path / "none", TRUTH, saturation=None))
    assert "65535 counts" in reason(q.findings, "saturation_level")
    q = calibrated(tmp_path / "none", constants={"saturation_level_counts": 2000.0})
    assert q.censored.any() and "saturation_level" not in statuses(q.findings)


def test_71_saturation_of_counts_marks_the_vendors_image_too(tmp_path):
    bright = spots(SHAPE, [(30, 30, 5, 3e7)])
    q = calibrated(write_click(tmp_path / "c", bright, corrected=np.minimum(bright, 1.7e7)))
    counts = calibrated(tmp_path / "c", constants={"image": "counts"})
    assert q.censored.sum() > counts.censored.sum() and (q.censored | ~counts.censored).all(), "one pixel wider: the image is warped"


# 72 units ----------------------------------------------------------------------------------------------------------------------------


def test_72_clicks_in_counts_and_in_radiance_are_not_mixed(tmp_path):
    write_click(tmp_path / "s" / "a", TRUTH, corrected=TRUTH)
    write_click(tmp_path / "s" / "b", TRUTH, start=START + timedelta(minutes=1))
    q = calibrated(tmp_path / "s")
    assert q.method.startswith("IVIS counts") and statuses(q.findings)["corrected_image"] == "warn"
    assert flux(q.values[0, 0], 22.4) == pytest.approx(flux(q.values[1, 0], 22.4), rel=0.05)
    (tmp_path / "s" / "a" / "luminescent.TIF").unlink()
    assert refused(tmp_path / "s").startswith("mixed_units") and "no counts in a" in refused(tmp_path / "s")


@pytest.mark.parametrize("words", ["Counts", "", "Watts"])
def test_72_a_corrected_image_that_is_no_radiance_is_not_used(tmp_path, words):
    folder = write_click(tmp_path / "c", TRUTH, corrected=TRUTH / PER_COUNT, corrected_words=words)
    q = calibrated(folder)
    assert "the counts are calibrated instead" in reason(q.findings, "corrected_image") and "counts" in q.method
    (folder / "luminescent.TIF").unlink()
    assert refused(folder).startswith("mixed_units")


# 73 luciferin ------------------------------------------------------------------------------------------------------------------------


def test_73_unknown_time_of_luciferin(tmp_path):
    q = calibrated(write_click(tmp_path / "c", TRUTH), luciferin=None)
    assert statuses(q.findings)["luciferin_time"] == "warn" and "luciferin_s" not in q.facts


# 74 settings -------------------------------------------------------------------------------------------------------------------------


def test_74_two_fields_of_view_are_not_one_scan(tmp_path):
    write_click(tmp_path / "s" / "a", TRUTH)
    write_click(tmp_path / "s" / "b", TRUTH, fov=12.5, start=START + timedelta(minutes=1))
    assert "series_ambiguous" in refused(tmp_path / "s") and "fields of view differ" in refused(tmp_path / "s")
    (tmp_path / "s" / "SequenceInfo.txt").write_text("*** Sequence:\tx\nkey:\tv\n")
    assert refused(tmp_path / "s").startswith("mixed_fields") and "22.4 and 12.5 cm" in refused(tmp_path / "s")
    assert len(calibrated(tmp_path / "s", series="b").values) == 1


def test_74_settings_the_camera_is_not_calibrated_for(tmp_path):
    message = refused(write_click(tmp_path / "c", TRUTH, keys={"f Number": "8"}))
    assert message.startswith("no_calibration") and "found 22.4 cm, f/8" in message and "22.4 cm f/1, 22.4 cm f/2" in message
    for key, code in (("Binning Factor", "no_binning"), ("f Number", "no_f_number"), ("Field of View", "no_field_of_view")):
        assert refused(write_click(tmp_path / code, TRUTH, keys={key: None})).startswith(code)


def test_74_no_camera_block_and_the_vendors_image_beside_it(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, corrected=TRUTH)
    info = folder / "ClickInfo.txt"
    info.write_bytes(info.read_bytes().split(b"*** Camera System Info")[0])
    q = calibrated(folder)
    assert statuses(q.findings)["vendor_image"] == "warn" and "not compared" in reason(q.findings, "vendor_image") and q.sd_voxel is None
    assert "expected none" in refused(folder, constants={"image": "counts"})


def test_74_a_filter_is_recorded_and_nothing_applied_for_it(tmp_path):
    q = calibrated(write_click(tmp_path / "c", TRUTH, emission="620"))
    assert "its transmission not undone" in reason(q.findings, "emission_filter") and q.facts["emission_transmission_0"] == 0.87
    assert flux(q.values[0, 0], 22.4) == pytest.approx(flux(TRUTH, 22.4), rel=0.05)
    q = calibrated(write_click(tmp_path / "named", TRUTH, emission="GFP"))
    assert "a name without a wavelength" in reason(q.findings, "emission_filter") and "emission_nm_0" not in q.facts
    q = calibrated(write_click(tmp_path / "none", TRUTH, keys={"Emission filter": None}))
    assert "taken as open" in reason(q.findings, "emission_filter") and q.facts["emission_nm_0"] == 0


# 75 cosmic hits: test_cosmic.py; here that they do not add to a flux ----------------------------------------------------------------


def test_75_hits_add_no_light(tmp_path):
    hits = tuple((int(r), int(c), 20000.0) for r, c in np.random.default_rng(2).integers(5, 55, (5, 2)))
    quiet = calibrated(write_click(tmp_path / "quiet", TRUTH))
    q = calibrated(write_click(tmp_path / "c", TRUTH, hits=hits))
    assert "5 pixel(s)" in reason(q.findings, "cosmic_hits")
    assert flux(q.values[0, 0], 22.4) == pytest.approx(flux(quiet.values[0, 0], 22.4), rel=0.01)


# 76 bias and dark --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [65534, 65535])
def test_76_constant_frames_are_never_subtracted(tmp_path, value):
    folder = write_click(tmp_path / "c", TRUTH)
    for name in ("background", "readbiasonly"):
        imwrite(folder / f"{name}.TIF", np.full(SHAPE, value, np.uint16))
    q = calibrated(folder)
    assert f"every pixel is {value}" in reason(q.findings, "background_unusable")
    assert statuses(q.findings) | {"background_unusable": "warn", "readbiasonly_unusable": "warn", "no_dark": "warn"} == statuses(
        q.findings
    )
    # 1.5 counts of dark charge stay in each pixel.
    assert "bias level" in q.method and float(q.values.mean()) == pytest.approx(TRUTH.mean() + 1.6 * PER_COUNT, rel=0.02)


def test_76_no_bias_at_all(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, files=("luminescent",), keys={"Read Bias Level": None})
    assert refused(folder).startswith("no_bias")


def test_76_a_dark_frame_that_cannot_be_scaled_or_fits_no_pixel(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH)
    info = folder / "ClickInfo.txt"
    info.write_bytes(info.read_bytes().replace(b"Background Exposure (Seconds):\t80", b"Background Exposure (Seconds):\t"))
    assert "does not say its exposure" in reason(calibrated(folder).findings, "no_dark")
    folder = write_click(tmp_path / "d", TRUTH)
    imwrite(folder / "background.TIF", np.ones((30, 30), np.uint16))
    assert "30 × 30 pixels, the image has 60 × 60" in reason(calibrated(folder).findings, "background_unusable")
    folder = write_click(tmp_path / "e", TRUTH)
    path = folder / "background.TIF"
    path.write_bytes(path.read_bytes()[:3000])
    assert "cut short" in reason(calibrated(folder).findings, "background_unusable")


def test_76_a_bias_multiplier_is_undone(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, bias=400.0)
    imwrite(folder / "readbiasonly.TIF", imread(folder / "readbiasonly.TIF") * 10)
    info = folder / "ClickInfo.txt"
    info.write_bytes(info.read_bytes().replace(b"Data Multiplier:\t1\r", b"Data Multiplier:\t10\r", 1))
    q = calibrated(folder)
    assert "bias_level" not in statuses(q.findings) and flux(q.values[0, 0], 22.4) == pytest.approx(flux(TRUTH, 22.4), rel=0.05)
    info.write_bytes(info.read_bytes().replace(b"Data Multiplier:\t10\r", b"Data Multiplier:\t1\r"))
    assert refused(folder).startswith("bias_contradicts"), "4000 counts of bias are not in this image"


def test_76_what_the_file_says_is_done_is_not_done_twice(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, bias=0.0, keys={"Read Bias Level": "400", "Read Bias Corrected": "1"}, seed=4)
    imwrite(folder / "luminescent.TIF", (imread(folder / "luminescent.TIF")))
    q = calibrated(folder)
    assert "bias" in reason(q.findings, "corrected_already") and "bias off already" in q.method
    # Negative counts were cut off at 0 where the file was written: half of the noise of 3 counts.
    assert flux(q.values[0, 0], 22.4) == pytest.approx(flux(TRUTH, 22.4) + flux(np.full(SHAPE, 0.4 * PER_COUNT), 22.4), rel=0.05)
    said = calibrated(write_click(tmp_path / "d", TRUTH, keys={"Read Bias Corrected": "1"}))
    assert statuses(said.findings)["bias_not_off"] == "warn" and flux(said.values[0, 0], 22.4) == pytest.approx(flux(TRUTH, 22.4), rel=0.05)
    flat = calibrated(write_click(tmp_path / "e", TRUTH, keys={"Flat Field Corrected": "1", "Warp Corrected": "1"}))
    assert statuses(flat.findings)["flat_field"] == "warn" and "Warp Corrected" in reason(flat.findings, "corrected_already")


# 77, 78, 79 --------------------------------------------------------------------------------------------------------------------------


def test_77_negative_radiance_is_kept(tmp_path):
    q = calibrated(write_click(tmp_path / "c", np.zeros(SHAPE)))
    assert (q.values < 0).mean() > 0.4
    q = calibrated(write_click(tmp_path / "v", TRUTH, corrected=TRUTH - 300.0))
    assert q.values.min() == pytest.approx(-300.0)


def test_78_a_finer_photograph_comes_onto_the_grid_of_the_light(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH)
    fine = np.zeros((240, 240), np.uint16)
    fine[40:44, 80:84] = 1000
    imwrite(folder / "photograph.TIF", fine)
    photograph = calibrated(folder).maps["photograph"][0]
    assert photograph[10, 20] == 1000 and photograph.sum() == 1000
    (folder / "photograph.TIF").unlink()
    q = calibrated(folder)
    assert statuses(q.findings)["photograph"] == "warn" and "photograph" not in q.maps


def test_79_regions_carry_the_vendors_names_and_no_animal(tmp_path):
    lines = tuple(roi_line(n, "Circle", 300 * n, 900, 200, 400, "") for n in range(1, 6))
    rois = read_rois(write_click(tmp_path / "c", TRUTH, rois=lines, labels={"Animal Number": "1, 2, 3, 4, 5"}))
    assert [r.label for r in rois] == [f"ROI {n}" for n in range(1, 6)] and not hasattr(rois[0], "subject")


# What else comes in a folder --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"Luminescent Exposure (Seconds)": None}, "no_exposure"),
        ({"Luminescent Exposure (Seconds)": "0"}, "no_exposure"),
        ({"Luminescent Exposure (Seconds)": "1,5"}, "bad_number"),
        ({"Luminescent Exposure Units": "lightyears"}, "exposure_unit"),
        ({"Luminescent Exposure (Seconds)": "90", "Luminescent Exposure Units": "min"}, "exposure_unit"),
    ],
)
def test_exposures_that_nobody_stated(tmp_path, keys, code):
    assert refused(write_click(tmp_path / "c", TRUTH, keys=keys)).startswith(code)


def test_an_exposure_in_minutes(tmp_path):
    """Two minutes, as a number and its unit; the key's own name says seconds, which is noted."""
    q = calibrated(
        write_click(
            tmp_path / "c", TRUTH, exposure_s=120.0, keys={"Luminescent Exposure (Seconds)": "2", "Luminescent Exposure Units": "min"}
        )
    )
    assert q.times.duration_s == (120.0,) and "2 min = 120 s" in reason(q.findings, "exposure_unit")
    assert flux(q.values[0, 0], 22.4) == pytest.approx(flux(TRUTH, 22.4), rel=0.05)


@pytest.mark.parametrize("keep", [10, 400, 4000])
def test_a_truncated_image(tmp_path, keep):
    folder = write_click(tmp_path / "c", TRUTH)
    path = folder / "luminescent.TIF"
    path.write_bytes(path.read_bytes()[:keep])
    assert refused(folder).split(":")[0] in ("tiff_truncated", "tiff_unreadable")
    path.write_bytes(b"")
    assert refused(folder).startswith("tiff_truncated")


def test_no_luminescent_image(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, files=("bias", "background", "photograph"))
    assert refused(folder).startswith("no_luminescent_image")
    folder = write_click(tmp_path / "d", TRUTH, files=("photograph", "no block"))
    assert refused(folder).startswith("no_luminescent_image") and "photographic image" in refused(folder)
    # The vendor's corrected image alone is a measurement; whether it was saturated cannot be told.
    q = calibrated(write_click(tmp_path / "e", TRUTH, corrected=TRUTH, files=("photograph",)))
    assert statuses(q.findings)["no_counts"] == "warn" and q.censored is None and q.sd_voxel is None


@pytest.mark.parametrize(
    "image",
    [TRUTH.astype(np.uint8), TRUTH.astype(np.float32), np.zeros((*SHAPE, 3), np.uint8), TRUTH.astype(np.int16)],
    ids=["uint8", "float", "colour", "int16"],
)
def test_an_image_of_another_type_is_no_count(tmp_path, image):
    folder = write_click(tmp_path / "c", TRUTH)
    imwrite(folder / "luminescent.TIF", image)
    assert refused(folder).startswith("wrong_dtype")


def test_a_constant_image_and_pages(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH)
    imwrite(folder / "luminescent.TIF", np.full(SHAPE, 65534, np.uint16))
    assert refused(folder).startswith("constant_image")
    imwrite(folder / "luminescent.TIF", np.arange(7200, dtype=np.uint16).reshape(2, *SHAPE), photometric="minisblack")
    assert refused(folder).startswith("tiff_pages")


def test_a_declared_size_is_checked_before_memory_is_taken(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH)
    path = folder / "luminescent.TIF"
    raw = bytearray(path.read_bytes())
    at = (
        raw.index(b"\x00\x01\x04\x00\x01\x00\x00\x00")
        if b"\x00\x01\x04\x00\x01\x00\x00\x00" in raw
        else raw.index(b"\x00\x01\x03\x00\x01\x00\x00\x00")
    )
    raw[at + 2 : at + 4] = b"\x04\x00"
    raw[at + 8 : at + 12] = (2_000_000_000).to_bytes(4, "little")
    path.write_bytes(raw)
    assert refused(folder).split(":")[0] in ("tiff_too_large", "tiff_truncated")


def test_infinite_and_missing_pixels(tmp_path):
    vendor = TRUTH.copy()
    vendor[0, 0] = np.nan
    q = calibrated(write_click(tmp_path / "c", TRUTH, corrected=vendor))
    assert np.isnan(q.values[0, 0, 0, 0]) and reason(q.findings, "nan_pixels").startswith("1 pixels")
    vendor[0, 0] = np.inf
    assert refused(write_click(tmp_path / "d", TRUTH, corrected=vendor)).startswith("infinite_values")


def test_an_empty_folder_and_one_of_dicom(tmp_path):
    assert refused(tmp_path).startswith("not_a_click")
    (tmp_path / "IM0001.dcm").write_bytes(b"x")
    assert "IM0001.dcm" in refused(tmp_path)


def test_analysed_file_alone(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH)
    shutil.move(folder / "ClickInfo.txt", folder / "AnalyzedClickInfo.txt")
    assert flux(calibrated(folder).values[0, 0], 22.4) == pytest.approx(flux(TRUTH, 22.4), rel=0.05)


def test_files_that_contradict_one_another(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, rois=(roi_line(1, "Circle", 1, 1, 1, 1),))
    path = folder / "AnalyzedClickInfo.txt"
    path.write_bytes(path.read_bytes().replace(b"Binning Factor:\t8", b"Binning Factor:\t4"))
    q = calibrated(folder)
    assert "Binning Factor" in reason(q.findings, "clickinfo_differs") and q.facts["binning"] == 8
    q = calibrated(write_click(tmp_path / "d", TRUTH, rois=(roi_line(1, "Circle", 1, 1, 1, 1),)))
    assert "clickinfo_differs" not in statuses(q.findings)


def test_lzw_is_read_and_jpeg_refused(tmp_path):
    from PIL import Image

    folder = write_click(tmp_path / "c", TRUTH)
    path = folder / "luminescent.TIF"
    counts = imread(path)
    Image.fromarray(counts).save(path, compression="tiff_lzw")
    assert (np.asarray(read(folder, "", context_of(folder)).values[0, 0]) == counts).all()
    Image.fromarray((counts // 256).astype(np.uint8)).save(path, compression="jpeg")
    assert refused(folder).split(":")[0] in ("tiff_lossy", "wrong_dtype")
