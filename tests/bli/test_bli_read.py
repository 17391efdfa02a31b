"""Click folders, sequences, regions, fluorescence and other makers' TIFFs as the reader takes them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tifffile import imread, imwrite

from tests.bli.click_files import NAMES, START, context_of, flux, reason, roi_line, spots, statuses, write_click
from tracker.bli.calibrate import calibrate
from tracker.bli.read import planar_grid, read, read_rois
from tracker.errors import InputError
from tracker.image import Quantity, Scan

SHAPE = (60, 60)
TRUTH = spots(SHAPE, [(30, 30, 3, 1e6)])


def scanned(path: Path, **more: object) -> Scan:
    context = context_of(path, **more)
    return read(path, context.acquisition.series, context)


def calibrated(path: Path, **more: object) -> Quantity:
    context = context_of(path, **more)
    return calibrate(read(path, context.acquisition.series, context), context)


def kinetic(folder: Path, minutes: tuple[float, ...] = (0, 2, 5), **more: object) -> Path:
    """A sequence folder; each click twice as bright as the one before, written out of the order of its times."""
    for n, minute in reversed(list(enumerate(minutes))):
        write_click(folder / f"XQ1_{(7 * n) % len(minutes) + 1:03d}", TRUTH * 2**n, start=START + timedelta(minutes=minute), seed=n, **more)
    return folder


def test_a_click_folder(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH)
    scan = scanned(folder)
    np.testing.assert_array_equal(scan.values[0, 0], imread(folder / "luminescent.TIF"))
    assert (scan.values.shape, scan.unit, scan.times.origin, scan.times.start_s) == ((1, 1, *SHAPE), "counts", START, (0.0,))
    for path in (folder / "ClickInfo.txt", folder / "luminescent.TIF"):
        np.testing.assert_array_equal(scanned(path).values, scan.values)


def test_input_is_not_changed(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, corrected=TRUTH, hits=((3, 3, 5000.0),))
    before = {p: p.read_bytes() for p in folder.iterdir()}
    context = context_of(folder)
    scan = read(folder, "", context)
    values, counts = scan.values.copy(), scan.header.images[0].raw.counts.copy()
    calibrate(scan, context)
    assert (scan.values == values).all() and (scan.header.images[0].raw.counts == counts).all()
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_a_kinetic_series_is_in_the_order_of_its_times(tmp_path):
    q = calibrated(kinetic(tmp_path / "s"))
    assert q.times.start_s == (0.0, 120.0, 300.0) and q.times.origin == START
    found = [flux(image[0], 22.4) / flux(TRUTH, 22.4) for image in q.values]
    # Sums of the whole image; 3600 pixels of 3 counts are 1 % of the weakest one.
    assert found == pytest.approx([1, 2, 4], rel=0.04)
    assert statuses(q.findings)["series"] == "ok" and q.facts["exposure_s_2"] == 40


def test_a_sequence_file_says_what_belongs_together(tmp_path):
    folder = kinetic(tmp_path / "s", minutes=(0, 600))
    (folder / "SequenceInfo.txt").write_text("*** Sequence:\tx\nClickNumber 1:\tXQ1_001\nClickNumber 2:\tXQ1_002\n")
    assert len(scanned(folder).values) == 2
    (folder / "SequenceInfo.txt").write_text("*** Sequence:\tx\n" + "".join(f"ClickNumber {n}:\tXQ1_00{n}\n" for n in (1, 2, 3)))
    assert "lists 3 clicks, 2 are here" in reason(scanned(folder).findings, "series_incomplete")


def test_the_vendors_unmixed_folders_are_no_measurement(tmp_path):
    folder = kinetic(tmp_path / "s")
    write_click(folder / "XQ1_UMX1", TRUTH * 100)
    assert len(scanned(folder).values) == 3


def test_filters_of_a_series(tmp_path):
    for n, (nm, share) in enumerate((("Open", 1.0), ("600", 0.2), ("620", 0.5))):
        write_click(tmp_path / "s" / f"c{n}", TRUTH * share, emission=nm, start=START + timedelta(minutes=n), exposure_s=40.0 + 20 * n)
    q = calibrated(tmp_path / "s")
    assert [q.facts[f"emission_nm_{n}"] for n in range(3)] == [0, 600, 620]
    assert [q.facts[f"exposure_s_{n}"] for n in range(3)] == [40, 60, 80] == list(q.times.duration_s)
    assert reason(q.findings, "emission_filter").startswith("images 2, 3: the camera's calibration is for the open filter")
    assert "exposure, filter" in reason(q.findings, "settings_mixed") and statuses(q.findings)["settings_mixed"] == "ok"
    assert "emission_transmission_0" not in q.facts, "missing is not zero"


def test_binnings_of_a_series_are_summed_to_the_coarsest(tmp_path):
    fine = spots((240, 240), [(120, 120, 12, 2e6)])
    coarse = fine.reshape(60, 4, 60, 4).mean(axis=(1, 3))
    write_click(tmp_path / "s" / "a", coarse, binning=8)
    write_click(tmp_path / "s" / "b", fine, binning=2, start=START + timedelta(minutes=1))
    q = calibrated(tmp_path / "s")
    assert q.values.shape == (2, 1, 60, 60) and "binning" in reason(q.findings, "settings_mixed")
    place = (slice(12, 48), slice(12, 48))
    sd = np.sqrt((q.sd_voxel[:, 0][(slice(None), *place)] ** 2).sum(axis=(1, 2)))
    for n in (0, 1):
        # Frames add 0.1 counts to each of the sensor's superpixels: 3 % of the light at binning 2.
        assert q.values[n, 0][place].sum() == pytest.approx(coarse[place].sum(), abs=4 * sd[n] + 0.02 * coarse[place].sum())
    saturated = write_click(tmp_path / "t" / "b", spots((240, 240), [(120, 120, 2, 4e9)]), binning=2)
    write_click(tmp_path / "t" / "a", coarse, binning=8, start=START + timedelta(minutes=1))
    q = calibrated(saturated.parent)
    assert q.censored[0, 0, 30, 30] and not q.censored[1].any()
    assert (q.values[0][q.censored[0]] >= q.limit[0][q.censored[0]] * 0.999).all(), "what was read is the least there was"


def test_one_of_several_unrelated_clicks(tmp_path):
    for n, animal in enumerate(("1", "2")):
        write_click(tmp_path / f"click{n}", TRUTH * (n + 1), labels={"Animal Number": animal}, start=START + timedelta(minutes=n))
    with pytest.raises(InputError, match=r"series_ambiguous.*different animals.*found click0, click1"):
        scanned(tmp_path)
    assert scanned(tmp_path, series="click1").times.origin == START + timedelta(minutes=1)
    with pytest.raises(InputError, match=r"series_unknown.*'click7'.*click0, click1"):
        scanned(tmp_path, series="click7")


def test_clicks_of_two_days_are_not_one_series(tmp_path):
    for n in (0, 1):
        write_click(tmp_path / f"c{n}", TRUTH, start=START + timedelta(days=n))
    with pytest.raises(InputError, match=r"series_ambiguous.*24\.0 h apart"):
        scanned(tmp_path)


def test_regions_in_mm(tmp_path):
    lines = (
        roi_line(1, "Circle", 960, 480, 192, 96, "left hind"),
        roi_line(2, "Square", 100, 200, 50, 60),
        roi_line(3, "Contour", 0, 0, 0, 0, "c", "Points=10,10,110,10,110,210;"),
        roi_line(4, "Grid", 960, 960, 900, 600, "plate", "Rows=4;Cols=6;"),
    )
    folder = write_click(tmp_path / "c", TRUTH, rois=lines)
    rois = read_rois(folder)
    mm = 10 * 0.011666667
    one, two, three, four = rois
    assert (one.label, one.shape, one.kind, one.background, one.angle_deg) == ("left hind", "circle", "Measurement", "", 0.0)
    assert (one.x_mm, one.y_mm, one.width_mm, one.height_mm) == pytest.approx((960 * mm, 480 * mm, 192 * mm, 96 * mm))
    assert two.label == "ROI 2", "a region without a label goes by its line"
    np.testing.assert_allclose(three.points_mm, np.array([[10, 10], [110, 10], [110, 210]]) * mm)
    assert (three.x_mm, three.width_mm) == pytest.approx((60 * mm, 100 * mm))
    assert (four.rows, four.columns) == (4, 6) and (two.rows, two.columns, two.points_mm) == (0, 0, ())
    # 1920 of the vendor's pixels are the field of view: the middle of the image lies there in mm too.
    assert one.x_mm == pytest.approx(112.0, rel=1e-6)
    assert read_rois(folder / "AnalyzedClickInfo.txt") == rois
    assert read_rois(write_click(tmp_path / "none", TRUTH)) == ()


def test_regions_of_a_sequence(tmp_path):
    line = roi_line(1, "Circle", 960, 480, 192, 96, "a")
    for n in (0, 1):
        write_click(tmp_path / "s" / f"c{n}", TRUTH, rois=(line,))
    assert [r.label for r in read_rois(tmp_path / "s")] == ["a"]
    write_click(tmp_path / "s" / "c2", TRUTH, rois=(roi_line(1, "Circle", 900, 480, 192, 96, "a"),))
    with pytest.raises(InputError, match="rois_differ"):
        read_rois(tmp_path / "s")
    assert len(read_rois(tmp_path / "s", "c2")) == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (roi_line(1, "Star", 1, 1, 1, 1), "roi_unreadable.*shape"),
        (roi_line(1, "Circle", 1, 1, 0, 1), "roi_unreadable.*width"),
        (roi_line(1, "Circle", 1, 1, 1, 1).replace("cm per pixel=0.011666667", "cm per pixel="), "roi_unreadable.*cm per pixel"),
        (roi_line(1, "Circle", 1, 1, 1, 1).replace("Xc=1.000000", "Xc=left"), "roi_unreadable.*xc"),
    ],
)
def test_a_region_that_cannot_be_placed_is_refused(tmp_path, line, code):
    with pytest.raises(InputError, match=code):
        read_rois(write_click(tmp_path / "c", TRUTH, rois=(line,)))


def test_fewer_regions_than_announced(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, rois=(roi_line(1, "Circle", 1, 1, 1, 1),))
    path = folder / "AnalyzedClickInfo.txt"
    path.write_bytes(path.read_bytes().replace(b"1 ROIs", b"2 ROIs"))
    with pytest.raises(InputError, match=r"rois_incomplete.*found 1; expected 2"):
        read_rois(folder)


# Times -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"Acquisition Seconds": None}, START),
        ({"Acquisition Date": None}, START),
        ({"Acquisition Date": "lundi 2 mars 2026"}, START),
        ({"Acquisition Time": "11:00:05 AM"}, START),
        ({"Acquisition Date": "2026-03-02"}, START),
    ],
)
def test_the_time_in_any_of_its_forms(tmp_path, keys, wanted):
    scan = scanned(write_click(tmp_path / "c", TRUTH, keys=keys))
    assert scan.times.origin == wanted and "acquisition_time" not in statuses(scan.findings)


def test_seconds_of_another_zone(tmp_path):
    seconds = (START - datetime(1904, 1, 1)).total_seconds() - 3600
    scan = scanned(write_click(tmp_path / "c", TRUTH, keys={"Acquisition Seconds": f"{seconds:.0f}"}))
    assert scan.times.origin == START and "1.00 h" in reason(scan.findings, "acquisition_time")


def test_two_times_that_contradict(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, keys={"Acquisition Seconds": "3850000000"})
    with pytest.raises(InputError, match="times_disagree"):
        scanned(folder)
    scan = scanned(folder, acquired=datetime(2026, 3, 2, 12, 0))
    assert scan.times.origin == datetime(2026, 3, 2, 12, 0) and statuses(scan.findings)["acquisition_time"] == "warn"


def test_no_time_at_all(tmp_path):
    gone = {"Acquisition Seconds": None, "Acquisition Date": None, "Acquisition Time": None}
    folder = write_click(tmp_path / "c", TRUTH, keys=gone)
    with pytest.raises(InputError, match=r"no_time.*acquired"):
        scanned(folder)
    assert scanned(folder, acquired=START).times.origin == START
    # One time of the sheet cannot order several clicks.
    for n in (0, 1):
        write_click(tmp_path / "s" / f"c{n}", TRUTH, keys=gone)
    with pytest.raises(InputError, match=r"no_time"):
        scanned(tmp_path / "s", acquired=START)


# Luciferin ---------------------------------------------------------------------------------------------------------------------------


def test_luciferin_by_the_label_where_the_sheet_is_empty(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, labels={"Luc Injection Time": "10:48"})
    q = calibrated(folder, luciferin=None)
    assert q.facts["luciferin_s"] == 725 and "10:48:00" in reason(q.findings, "luciferin_time")
    q = calibrated(folder, luciferin=START - timedelta(minutes=9))
    assert q.facts["luciferin_s"] == 540 and "the sheet's is used" in reason(q.findings, "luciferin_time")
    assert "luciferin_time" not in statuses(calibrated(folder, luciferin=datetime(2026, 3, 2, 10, 48, 20)).findings)


@pytest.mark.parametrize("typed", ["", NAMES[0], "12:30", "ten past"])
def test_a_label_that_is_no_time_before_the_scan_says_nothing(tmp_path, typed):
    q = calibrated(write_click(tmp_path / "c", TRUTH, labels={"Luc Injection Time": typed}), luciferin=None)
    assert "luciferin_s" not in q.facts and "not known" in reason(q.findings, "luciferin_time")


def test_luciferin_after_the_images(tmp_path):
    folder = kinetic(tmp_path / "s")
    assert calibrated(folder, luciferin=START + timedelta(minutes=1)).facts["luciferin_s"] == -60, "images before it are a baseline"
    with pytest.raises(InputError, match=r"luciferin_after_scan.*2026-03-02 12:00:00.*11:05:45"):
        calibrated(folder, luciferin=datetime(2026, 3, 2, 12, 0))


# Other makers ------------------------------------------------------------------------------------------------------------------------

SIDE = {"unit": "photons/s/cm2/sr", "pixel_mm": 0.5, "exposure_s": 60, "acquired": "2026-03-02T11:00:05"}


def plain(folder: Path, values: np.ndarray = TRUTH, **keys: object) -> Path:
    folder.mkdir(exist_ok=True)
    imwrite(folder / "m.tif", values.astype(np.float32) if values.dtype == float else values)
    (folder / "m.json").write_text(json.dumps({k: v for k, v in (SIDE | keys).items() if v is not None}))
    return folder / "m.tif"


def test_a_float_tiff_with_a_sidecar(tmp_path):
    q = calibrated(plain(tmp_path, TRUTH - 10.0, emission_nm=620, operator=NAMES[0]), constants={"calibration_sd_percent": 8})
    np.testing.assert_array_equal(q.values[0, 0], (TRUTH - 10).astype(np.float32))
    assert (q.kind, q.unit, q.method, q.sd_voxel, q.censored) == ("radiance", "photons/s/cm2/sr", "sidecar radiance", None, None)
    np.testing.assert_allclose(q.grid.affine, planar_grid(SHAPE, 0.5).affine)
    assert q.facts["exposure_s_0"] == 60 and q.facts["emission_nm_0"] == 620 and q.facts["field_of_view_cm"] == 3.0 and q.scale_cv == 0.08
    assert statuses(q.findings)["saturation_level"] == "warn" and NAMES[0] not in repr(q)


def test_its_pages_are_images_in_the_order_of_their_starts(tmp_path):
    imwrite(tmp_path / "photo.png.tif", np.arange(3600, dtype=np.uint16).reshape(SHAPE))
    q = calibrated(
        plain(tmp_path, np.stack([2 * TRUTH, TRUTH]), start_s=[30, 0], exposure_s=[5, 10], saturation=1.5e6, photograph="photo.png.tif")
    )
    assert q.times.start_s == (0.0, 30.0) and q.times.duration_s == (10.0, 5.0)
    assert q.values[0].max() == pytest.approx(1e6) and q.censored[1].any() and not q.censored[0].any()
    assert q.limit.max() == 1.5e6 and q.maps["photograph"][0, 1, 0] == 60


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"unit": "counts"}, "mixed_units.*'counts'"),
        ({"unit": "W/cm2/sr"}, "mixed_units"),
        ({"unit": None}, "sidecar_key.*no unit"),
        ({"pixel_mm": None, "exposure_s": None}, "sidecar_key.*no pixel_mm, exposure_s"),
        ({"pixel_mm": "0.5"}, "sidecar_key.*pixel_mm"),
        ({"exposure_s": 0}, "sidecar_key.*exposure_s"),
        ({"exposure_s": [1, 2]}, "sidecar_key.*exposure_s.*expected 1"),
        ({"acquired": "yesterday"}, "sidecar_key.*acquired"),
        ({"acquired": None}, "no_time"),
    ],
)
def test_a_sidecar_that_does_not_say_enough(tmp_path, keys, code):
    with pytest.raises(InputError, match=code):
        scanned(plain(tmp_path, **keys))


def test_a_tiff_alone_says_nothing(tmp_path):
    path = plain(tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="sidecar_missing"):
        scanned(path)
    path.with_suffix(".json").write_text("[1, 2")
    with pytest.raises(InputError, match="sidecar_unreadable"):
        scanned(path)


def test_integers_are_no_radiance(tmp_path):
    with pytest.raises(InputError, match=r"wrong_dtype.*uint16.*float32"):
        scanned(plain(tmp_path, TRUTH.astype(np.uint16)))


def test_a_sidecar_does_not_lead_out_of_its_folder(tmp_path):
    imwrite(tmp_path / "outside.tif", np.ones(SHAPE, np.uint16))
    path = plain(tmp_path / "in", photograph="../outside.tif")
    with pytest.raises(InputError, match="tiff_unreadable"):
        scanned(path)


# Fluorescence ------------------------------------------------------------------------------------------------------------------------


def test_fluorescence_by_the_stated_power(tmp_path):
    folder = write_click(tmp_path / "c", TRUTH, excitation="570", emission="620")
    with pytest.raises(InputError, match=r"no_excitation_power.*excitation filter 570"):
        calibrated(folder)
    q = calibrated(folder, constants={"excitation_irradiance_uw_per_cm2": 250.0}, luciferin=None)
    light = calibrated(write_click(tmp_path / "d", TRUTH, emission="620"))
    assert (q.kind, q.unit) == ("radiant_efficiency", "photons/s/cm2/sr/(uW/cm2)") and "luciferin_time" not in statuses(q.findings)
    np.testing.assert_allclose(q.values, light.values / 250, rtol=1e-6)
    np.testing.assert_allclose(q.sd_voxel, light.sd_voxel / 250, rtol=1e-6)
    stated = write_click(tmp_path / "e", TRUTH, excitation="570", emission="620", keys={"Excitation Power": "0.25 mW/cm2"})
    np.testing.assert_allclose(calibrated(stated).values, q.values)


def test_fluorescence_corrected_by_the_vendor(tmp_path):
    q = calibrated(
        write_click(tmp_path / "c", TRUTH, excitation="570", corrected=TRUTH / 250.0, corrected_words="Radiant Efficiency (Photons)")
    )
    np.testing.assert_array_equal(q.values[0, 0], (TRUTH / 250).astype(np.float32))
    assert (q.kind, q.method, q.sd_voxel) == ("radiant_efficiency", "IVIS vendor-corrected radiant efficiency", None)


def test_autofluorescence_is_kept_beside_and_taken_off_on_request(tmp_path):
    glow = np.full(SHAPE, 2e5)
    write_click(tmp_path / "s" / "a", TRUTH + glow, excitation="DsRed", emission="620")
    write_click(tmp_path / "s" / "b", glow / 2, excitation="DsRed-Bkg", emission="620", start=START + timedelta(minutes=1), seed=2)
    power = {"excitation_irradiance_uw_per_cm2": 100.0}
    q = calibrated(tmp_path / "s", constants=power)
    assert q.values.shape[0] == 1 and statuses(q.findings)["autofluorescence"] == "warn"
    assert q.maps["autofluorescence"][0].mean() == pytest.approx(1e3, rel=0.02)
    off = calibrated(tmp_path / "s", constants=power | {"autofluorescence_scale": 2.0})
    np.testing.assert_allclose(off.values[0], q.values[0] - 2 * q.maps["autofluorescence"], rtol=1e-4, atol=0.1)
    assert off.values.sum() == pytest.approx(TRUTH.sum() / 100, rel=0.05)


def test_light_of_two_kinds_is_not_mixed(tmp_path):
    write_click(tmp_path / "s" / "a", TRUTH)
    write_click(tmp_path / "s" / "b", TRUTH, excitation="570", start=START + timedelta(minutes=1))
    with pytest.raises(InputError, match=r"mixed_modes.*570, Block"):
        scanned(tmp_path / "s")
    assert len(scanned(tmp_path / "s", series="a").values) == 1


# People ------------------------------------------------------------------------------------------------------------------------------


def test_no_name_leaves_the_reader(tmp_path):
    """Names in every label of every file, in an image's own text and in a region's subject: none in results, findings or errors."""
    labels = dict.fromkeys(
        (
            "User",
            "Group",
            "Experiment",
            "Comment1",
            "Comment2",
            "Time Point",
            "Animal Number",
            "Animal Strain",
            "Sex",
            "View",
            "Cell Line",
            "Reporter",
            "Treatment",
            "Luc Injection Time",
            "IACUC Number",
        ),
        NAMES[0],
    )
    folder = write_click(tmp_path / "c", TRUTH, labels=labels, rois=(roi_line(1, "Circle", 960, 480, 192, 96, "left"),), encoding="utf-8")
    imwrite(folder / "luminescent.TIF", imread(folder / "luminescent.TIF"), description=NAMES[3], metadata=None)
    context = context_of(folder, luciferin=None)
    scan = read(folder, "", context)
    quantity = calibrate(scan, context)
    said = repr(scan) + repr(quantity) + repr(read_rois(folder))
    for n, damage in enumerate(
        ({"Field of View": "wide"}, {"f Number": None}, {"Luminescent Exposure (Seconds)": None}, {"f Number": "x"})
    ):
        with pytest.raises(InputError) as caught:
            calibrated(write_click(tmp_path / str(n), TRUTH, labels=labels, keys=damage, encoding="utf-8"))
        said += str(caught.value)
    for name in NAMES:
        assert name not in said and name.split()[-1] not in said


@pytest.mark.parametrize("keys", [{"Field of View": "D"}, {"Field of View": "22.4 cm"}, {"f Number": "f/1"}, {"Binning Factor": "8 "}])
def test_settings_as_they_may_be_written(tmp_path, keys):
    plain_one = calibrated(write_click(tmp_path / "a", TRUTH))
    np.testing.assert_array_equal(calibrated(write_click(tmp_path / "b", TRUTH, keys=keys)).values, plain_one.values)


def test_one_scale_for_all_regions(tmp_path):
    line = roi_line(1, "Circle", 960, 480, 192, 96, "a").replace("cm per pixel=0.011666667;", "")
    folder = write_click(tmp_path / "c", TRUTH, rois=(line,))
    path = folder / "AnalyzedClickInfo.txt"
    path.write_bytes(path.read_bytes().replace(b"\r\nROI 1", b"\r\ncm per pixel:\t0.0116666667\r\nROI 1"))
    assert read_rois(folder)[0].x_mm == pytest.approx(112.0, rel=1e-6)
