"""`quantify`: known sums, what an organ's rows say, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import dask.array as da
import numpy as np
import pytest

from tracker.errors import InputError
from tracker.image import Grid, OrganMap, Quantity
from tracker.quantify import density_g_per_ml, quantify
from tracker.quantify.rows import Quantified
from tracker.study.model import Context
from tracker.table import Row, check_row

Make = Callable[..., tuple[Quantity, OrganMap]]
NAMES = {1: "liver", 2: "left_lung", 3: "rest"}


def _labels() -> np.ndarray:
    labels = np.zeros((14, 16, 18), np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 3
    labels[3:8, 3:9, 3:9] = 1
    labels[9:12, 3:13, 10:15] = 2
    return labels


def _image(frames: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(50.0, 10.0, (frames, 14, 16, 18)).astype(np.float32)


def _row(result: Quantified, organ: str, quantity: str, frame: int = 0) -> Row:
    return [r for r in result.rows if (r.organ, r.quantity) == (organ, quantity)][frame]


def _checks(result: Quantified) -> set[tuple[str, str]]:
    return {(finding.check, finding.status) for finding in result.findings}


def test_known_sums_and_names(make: Make, context: Context) -> None:
    image, labels = _image(), _labels()
    quantity, organ_map = make(image, labels, NAMES, scale_cv=0.05, method="calibrate")
    before = image.copy(), labels.copy()
    result = quantify(quantity, organ_map, context)
    assert (image == before[0]).all() and (labels == before[1]).all()
    for label, organ in NAMES.items():
        inside = image[0].astype(np.float64)[labels == label]
        signal = _row(result, organ, "signal")
        # float64 sums in another order: a few parts in 1e13.
        assert signal.value == pytest.approx(inside.sum() * 0.01, rel=1e-12)
        assert _row(result, organ, "concentration").value == pytest.approx(inside.mean(), rel=1e-12)
        assert _row(result, organ, "concentration_max").value == inside.max()
        assert (signal.unit, signal.n_voxels, signal.cens) == ("Bq", inside.size, 0)
        assert signal.volume_ml == pytest.approx(inside.size * 0.01)
        assert signal.mass_g == pytest.approx(inside.size * 0.01 * (0.3 if organ == "left_lung" else 1.05))
        assert signal.sd_scale == pytest.approx(0.05 * signal.value)
        assert signal.method == "calibrate>segmentation>quantify"
        assert signal.sd_noise == pytest.approx(_row(result, organ, "concentration").sd_noise * signal.volume_ml)
    for row in result.rows:
        check_row(row)
        assert (row.study, row.subject, row.group, row.session, row.modality, row.label) == ("demo", "m1", "a", "d0", "pet", "zr")


def test_organs_and_rest_sum_to_the_body(make: Make, context: Context) -> None:
    image, labels = _image(), _labels()
    parts = quantify(*make(image, labels, NAMES), context)
    whole = quantify(*make(image, (labels > 0).astype(np.uint8), {1: "body"}), context)
    total = sum(_row(parts, organ, "signal").value for organ in NAMES.values())
    assert total == pytest.approx(_row(whole, "body", "signal").value, rel=1e-12)


def test_twice_in_is_twice_out_and_negative_values_stay(make: Make, context: Context) -> None:
    image, labels = _image() - 60, _labels()
    one, two = (quantify(*make(factor * image, labels, NAMES, scale_cv=0.1), context) for factor in (1, 2))
    for a, b in zip(one.rows, two.rows, strict=True):
        # Doubling a float is exact, and so is all that follows but the noise's fit.
        assert b.value == 2 * a.value and b.sd_scale == 2 * a.sd_scale and b.sd_noise == pytest.approx(2 * a.sd_noise, rel=1e-9)
    assert _row(one, "liver", "concentration").value == pytest.approx(-10, abs=3)


def test_moving_image_and_map_together_changes_nothing(make: Make, context: Context) -> None:
    image, labels = np.pad(_image(), ((0, 0), (4, 4), (4, 4), (4, 4))), np.pad(_labels(), 4)
    moved = [np.roll(array, (2, -1, 3), axis=(-3, -2, -1)) for array in (image, labels)]
    here, there = quantify(*make(image, labels, NAMES), context), quantify(*make(*moved, NAMES), context)
    for a, b in zip(here.rows, there.rows, strict=True):
        assert b.value == pytest.approx(a.value, rel=1e-12) and b.sd_noise == pytest.approx(a.sd_noise, rel=1e-9)


def test_oblique_grid_has_the_determinants_volume(make: Make, context: Context) -> None:
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]]) @ np.array([[1, 0, 0], [0, 0.28, -0.96], [0, 0.96, 0.28]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, 2.0, 5.0])
    result = quantify(*make(np.ones((1, 14, 16, 18)), _labels(), NAMES, affine=affine), context)
    assert _row(result, "liver", "signal").value == pytest.approx(180 * 0.01, rel=1e-9)


def test_frames_are_computed_one_at_a_time_and_timed(make: Make, context: Context) -> None:
    image, labels, seen = _image(3), _labels(), []

    def watch(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info:
            seen.append(block_info[0]["chunk-location"][0])
        return block

    lazy = da.from_array(image, chunks=(1, 14, 16, 18)).map_blocks(watch, dtype=image.dtype)
    result = quantify(*make(lazy, labels, NAMES), context)
    assert seen == [0, 1, 2]
    assert result.rows == quantify(*make(image, labels, NAMES), context).rows
    last = _row(result, "liver", "signal", frame=2)
    # 2 h after the cells, third frame of 10 min.
    assert (last.time_start_h, last.time_h, last.time_end_h) == pytest.approx((2 + 20 / 60, 2 + 25 / 60, 2 + 30 / 60))
    inside = image[2].astype(np.float64)[labels == 1]
    assert last.value == pytest.approx(inside.sum() * 0.01, rel=1e-12)


def test_time_zones(make: Make, context: Context) -> None:
    def start(first: datetime, origin: datetime) -> float | None:
        quantity, organ_map = make(_image(), _labels(), NAMES, origin=origin)
        return quantify(quantity, organ_map, replace(context, first_dose_time=first)).rows[0].time_start_h

    ten, east = datetime(2024, 5, 2, 10), timezone(timedelta(hours=2))
    assert start(datetime(2024, 5, 1, 22), ten) == pytest.approx(12)
    assert start(datetime(2024, 5, 2, 8, tzinfo=east), ten) == pytest.approx(2)
    assert start(datetime(2024, 5, 2, 8, tzinfo=east), ten.replace(tzinfo=UTC)) == pytest.approx(4)


def test_nan_voxels_count_as_the_organs_mean(make: Make, context: Context) -> None:
    image, labels = _image(), _labels()
    image[0, 4, 4, 4:6] = np.nan
    result = quantify(*make(image, labels, NAMES), context)
    row = _row(result, "liver", "signal")
    assert row.value == pytest.approx(np.nanmean(image[0].astype(np.float64)[labels == 1]) * 180 * 0.01, rel=1e-12)
    assert (row.flag, row.n_voxels) == (("nonfinite_voxels",), 178) and row.volume_ml == pytest.approx(1.8)
    assert ("nonfinite_voxels", "warn") in _checks(result)
    image[0][labels == 1] = np.nan
    row = _row(quantify(*make(image, labels, NAMES), context), "liver", "signal")
    assert (row.value, row.sd_noise, row.cens, row.n_voxels) == (None, None, None, 0)


def test_an_empty_organ_and_one_at_the_edge_have_rows_without_a_value(make: Make, context: Context) -> None:
    labels = _labels()
    labels[0, 5, 5] = 1
    result = quantify(*make(_image(), labels, {**NAMES, 7: "spleen"}), context)
    for organ, flag, n in (("liver", "outside_fov", 181), ("spleen", "empty_organ", 0)):
        rows = [row for row in result.rows if row.organ == organ]
        assert len(rows) == 3
        for row in rows:
            assert (row.value, row.sd_noise, row.sd_scale, row.cens, row.flag, row.n_voxels) == (None, None, None, None, (flag,), n)
        assert (flag, "warn") in _checks(result)
    assert _row(result, "left_lung", "signal").value is not None


def test_partial_volume_is_flagged_where_the_blur_shows(make: Make, context: Context) -> None:
    # A hot liver beside a cold spleen: under a wide blur both are mixed, under a narrow one neither, and where all is alike none.
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[8:22, 8:15, 8:22], labels[8:22, 15:22, 8:22] = 1, 2
    image = np.select([labels == 1, labels == 2], [100.0, 5.0], 0.0)[None]
    for values, width_mm, flagged in ((image, 12.0, True), (image, 0.1, False), (np.ones_like(image), 12.0, False)):
        rows = quantify(*make(values, labels, {1: "liver", 2: "spleen"}), replace(context, constants={"psf_fwhm_mm": width_mm})).rows
        assert {("partial_volume" in r.flag) for r in rows} == {flagged}, width_mm


def test_few_voxels_are_flagged_where_nobody_says_how_wide_the_blur_is(make: Make, context: Context) -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[4:6, 4:7, 4:7], labels[6:10, 2:10, 2:10] = 1, 2
    rows = quantify(*make(np.ones((1, 12, 12, 12)), labels, {1: "spleen", 2: "liver"}), replace(context, constants={})).rows
    assert {r.organ for r in rows if "partial_volume" in r.flag} == {"spleen"}


def test_stated_voxel_noise_is_used_with_the_images_correlation(make: Make, context: Context) -> None:
    labels, image = _labels(), _image()
    result = quantify(*make(image, labels, NAMES, sd_voxel=np.full_like(image, 10.0)), context)
    n = int((labels == 3).sum())
    # White noise: sd / √n; the correlation found in a few thousand voxels of white noise is 0 to a few percent an axis.
    assert _row(result, "rest", "concentration").sd_noise == pytest.approx(10 / np.sqrt(n), rel=0.15)
    assert _row(result, "rest", "concentration_max").sd_noise == 10


def test_peak_rows_for_people_or_where_asked(make: Make, context: Context, human: Context) -> None:
    pair = make(_image(), _labels(), NAMES)
    mouse = quantify(*pair, context)
    assert ("peak_sphere_unset", "ok") in _checks(mouse) and not any(r.quantity == "concentration_peak" for r in mouse.rows)
    person = _row(quantify(*pair, human), "liver", "concentration_peak")
    asked = replace(context, organs=replace(context.organs, peak_sphere_ml=1.0))
    assert _row(quantify(*pair, asked), "liver", "concentration_peak").value == person.value
    high = _row(quantify(*pair, human), "liver", "concentration_max")
    assert 50 < person.value < high.value and 0 < person.sd_noise < high.sd_noise


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("quantity_kind", {"kind": "rate"}),
        ("quantity_unit", {"unit": "counts"}),
        ("grid_mismatch", {"affine": np.diag([2.0, 2.0, 2.6, 1.0])}),
    ],
)
def test_what_is_refused(code: str, change: dict[str, Any], make: Make, context: Context) -> None:
    organ_map = make(_image(), _labels(), NAMES)[1]
    quantity = make(_image(), _labels(), NAMES, **change)[0]
    with pytest.raises(InputError) as error:
        quantify(quantity, organ_map, context)
    assert error.value.code == code


def test_refused_maps(make: Make, context: Context) -> None:
    quantity, organ_map = make(_image(), _labels(), NAMES)
    for code, wrong in (
        ("unnamed_label", replace(organ_map, names={1: "liver", 2: "lung"})),
        ("duplicate_organ", replace(organ_map, names={1: "liver", 2: "Liver", 3: "rest"})),
        ("no_organs", replace(organ_map, names={0: "background"})),
        ("grid_mismatch", replace(organ_map, labels=organ_map.labels[:-1], grid=Grid((13, 16, 18), organ_map.grid.affine))),
    ):
        with pytest.raises(InputError) as error:
            quantify(quantity, wrong, context)
        assert error.value.code == code
    near = organ_map.grid.affine.copy()
    near[0, 3] += 0.15  # 0.075 voxel
    quantify(quantity, replace(organ_map, grid=Grid(organ_map.grid.shape, near)), context)


def test_infinite_voxel_in_an_organ_is_refused(make: Make, context: Context) -> None:
    image = _image()
    image[0, 4, 4, 4] = np.inf
    with pytest.raises(InputError) as error:
        quantify(*make(image, _labels(), NAMES), context)
    assert error.value.code == "infinite_voxel"


@pytest.mark.parametrize(
    ("organ", "expected"),
    [
        ("lung", 0.3),
        ("lungs", 0.3),
        ("left_lung", 0.3),
        ("lung_left", 0.3),
        ("Lung_Left", 0.3),
        ("lunge", 1.0),
        ("bone_marrow", 1.03),
        ("femur_bones", 1.5),
        ("kidneys", 1.06),
        ("tail", 1.0),
    ],
)
def test_density_by_whole_words(organ: str, expected: float) -> None:
    densities = {"lung": 0.3, "bone": 1.5, "bone_marrow": 1.03, "kidney": 1.06, "default": 1.0}
    assert density_g_per_ml(organ, densities) == expected


def test_density_that_is_missing_or_ambiguous() -> None:
    assert density_g_per_ml("liver", {"lung": 0.3}) is None
    with pytest.raises(InputError) as error:
        density_g_per_ml("lung_tumour", {"lung": 0.3, "tumour": 1.05})
    assert error.value.code == "ambiguous_density"
    assert density_g_per_ml("lung_tumour", {"lung": 0.3, "tumour": 1.05, "lung_tumour": 0.9}) == 0.9
