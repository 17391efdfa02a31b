"""Values of a planar image's regions: background, limits, saturation, luciferin; and what label is derived from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracker.bli.measure import measure
from tracker.bli.reading import read_region
from tracker.bli.unmix import unmix
from tracker.errors import InputError
from tracker.image import FrameTimes, Grid, OrganMap, Quantity
from tracker.quantify import OrganValue, planar_rows
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, Subject
from tracker.table import check_row

START, PIXEL_MM, SIDE = datetime(2026, 3, 2, 10, 0), 1.0, 24
GRID = Grid((1, SIDE, SIDE), np.diag([PIXEL_MM, PIXEL_MM, 1.0, 1.0]))
# 4π × 0.01 cm2: flux of one pixel for each photon/s/cm2/sr.
PER_PIXEL = 4 * math.pi * 0.01


def _share(rows: slice, columns: slice) -> np.ndarray:
    share = np.zeros(GRID.shape)
    share[0, rows, columns] = 1.0
    return share


TUMOUR, GROUND = _share(slice(2, 8), slice(2, 7)), _share(slice(14, 24), slice(0, 24))


def _map(**shares: np.ndarray) -> OrganMap:
    names = dict(enumerate(shares, start=1))
    return OrganMap(np.zeros(GRID.shape, np.uint8), names, GRID, "regions:sheet", shares={i: shares[n] for i, n in names.items()})


def _image(level: float, ground: float = 0.0) -> np.ndarray:
    return np.where(TUMOUR[0] > 0, level, ground)


def _quantity(
    images: list[np.ndarray], seconds: list[float] | None = None, facts: Mapping[str, float] | None = None, **more: Any
) -> Quantity:
    values = np.stack(images)[:, None].astype(np.float32)
    starts = tuple(seconds or [60.0 * i for i in range(len(images))])
    sd = np.full(values.shape, 3.0, np.float32)
    stated = {f"emission_nm_{i}": 0.0 for i in range(len(images))} | {"luciferin_s": 600.0} | dict(facts or {})
    times = FrameTimes(START, starts, (40.0,) * len(images))
    settings: dict[str, Any] = {"kind": "radiance", "sd_voxel": sd, "scale_cv": 0.05, "method": "IVIS", "facts": stated} | more
    return Quantity(values, "photons/s/cm2/sr", GRID, times, **settings)


def _context(**constants: Any) -> Context:
    scan = Acquisition("m1", "d1", "bli", Path("/scan"), "d1", label="luc")
    doses = (Dose("m1", START - timedelta(hours=24), "luc", 1e6, "iv"),)
    who = Subject("m1", "mouse", 25.0)
    return Context("s", scan, who, doses, Label("luc", "reporter"), doses[0].dose_time, constants, Organs(), Corrections())


def _one(values: tuple[OrganValue, ...], quantity: str = "signal", organ: str = "tumour") -> OrganValue:
    (found,) = [v for v in values if (v.organ, v.quantity) == (organ, quantity)]
    return found


def test_by_hand() -> None:
    quantity = _quantity([_image(1000.0, 10.0)])
    values, findings = measure(quantity, _map(tumour=TUMOUR), _context())
    signal = _one(values)
    assert signal.value == pytest.approx(30 * 1000 * PER_PIXEL) and signal.unit == "photons/s"
    assert signal.sd_noise == pytest.approx(math.sqrt(30) * 3 * PER_PIXEL) and signal.sd_scale == pytest.approx(0.05 * signal.value)
    assert _one(values, "concentration").value == pytest.approx(1000) and _one(values, "concentration_max").value == pytest.approx(1000)
    assert "attenuated" in signal.flag and "luciferin_timing" not in signal.flag
    assert [f.check for f in findings] == ["background_region"]
    # Without a background region nothing is known that could be taken off.
    assert unmix(quantity, _map(tumour=TUMOUR), _context(depth="none")).values == ()


def test_the_background_region_is_taken_off_and_makes_the_limit() -> None:
    rng = np.random.default_rng(5)
    image = _image(1000.0) + rng.normal(50.0, 4.0, (SIDE, SIDE))
    organs = _map(tumour=TUMOUR, background=GROUND)
    quantity = _quantity([image])
    values, _ = measure(quantity, organs, _context())
    (net,) = unmix(quantity, organs, _context(depth="none")).values
    # The background's mean is known to 4/sqrt(240) a pixel, the region's own noise is 4/sqrt(30): 30 pixels of each.
    assert net.value == pytest.approx(30 * 1000 * PER_PIXEL, abs=5 * 30 * 4 / math.sqrt(30) * PER_PIXEL)
    assert _one(values).value == pytest.approx(net.value + 30 * 50 * PER_PIXEL, rel=1e-3)
    empty = PER_PIXEL * image[14:].std(ddof=1) * math.sqrt(30 + 30**2 / 240)
    assert net.lloq == pytest.approx(10 * empty, rel=1e-3)
    assert read_region(quantity, organs, 1).lod_ph_per_s == pytest.approx(3 * empty, rel=1e-3)
    assert not any(v.organ == "background" for v in values)


def test_an_empty_region_is_under_its_limit_and_keeps_its_value() -> None:
    rng = np.random.default_rng(8)
    image, organs = rng.normal(50.0, 4.0, (SIDE, SIDE)), _map(tumour=TUMOUR, background=GROUND)
    quantity = _quantity([image])
    found = unmix(quantity, organs, _context(depth="none"))
    (row,) = planar_rows(quantity, organs, _context(), found.values)
    assert row.cens == 1 and row.value is not None and abs(row.value) < row.lloq  # type: ignore[operator]


def test_a_saturated_region_has_a_bound_and_no_value() -> None:
    full = np.zeros((1, 1, SIDE, SIDE), bool)
    full[0, 0, 3, 3] = True
    quantity = _quantity([_image(1000.0)], censored=full, limit=np.full(full.shape, 5000.0))
    values, _ = measure(quantity, _map(tumour=TUMOUR), _context())
    rows = planar_rows(quantity, _map(tumour=TUMOUR), _context(), values)
    for row in rows:
        check_row(row)
        assert row.value is None and row.cens == -1 and "saturated" in row.flag
    assert rows[0].uloq == pytest.approx((29 * 1000 + 5000) * PER_PIXEL)


def test_few_counts_are_said_by_region() -> None:
    dim, bright = ({"counts_per_radiance_0": 0.1}, {"counts_per_radiance_0": 1.0})
    for facts, flagged in ((dim, True), (bright, False)):
        values, findings = measure(_quantity([_image(1000.0)], facts=facts), _map(tumour=TUMOUR), _context())
        assert ("low_counts" in _one(values).flag) == flagged == any(f.check == "low_counts" for f in findings)


def _bateman(minutes: np.ndarray) -> np.ndarray:
    """Independent of the fit: rise 0.2, fall 0.04 per min, 1 at its peak."""
    curve = np.exp(-0.04 * minutes) - np.exp(-0.2 * minutes)
    top = np.log(5.0) / 0.16
    return curve / (np.exp(-0.04 * top) - np.exp(-0.2 * top))


def test_the_peak_of_a_series_is_fitted_without_the_background() -> None:
    rng = np.random.default_rng(2)
    starts = [60.0 * m for m in (2, 5, 8, 11, 14, 20, 28)]
    minutes = (np.array(starts) + 20.0) / 60.0
    images = [_image(2000.0 * float(_bateman(m))) + rng.normal(80.0, 3.0, (SIDE, SIDE)) for m in minutes]
    quantity = _quantity(images, starts, {"luciferin_s": 0.0})
    organs = _map(tumour=TUMOUR, background=GROUND)
    reading = read_region(quantity, organs, 1)
    assert reading.net_ph_per_s == pytest.approx(30 * 2000 * PER_PIXEL, rel=0.01)
    assert "peak of luciferin" in reading.method and "luciferin_timing" not in reading.flags
    # What the camera saw has the background in it.
    assert reading.flux.flux_ph_per_s == pytest.approx(reading.net_ph_per_s + 30 * 80 * PER_PIXEL, rel=0.01)


def test_a_series_that_only_falls_takes_its_highest_frame_and_says_so() -> None:
    starts = [60.0 * m for m in (12, 14, 16, 18, 22, 26)]
    images = [_image(1000.0 - 100 * i) for i in range(6)]
    reading = read_region(_quantity(images, starts, {"luciferin_s": 0.0}), _map(tumour=TUMOUR), 1)
    assert reading.net_ph_per_s == pytest.approx(30 * 1000 * PER_PIXEL) and "luciferin_timing" in reading.flags
    assert any(f.check == "peak_not_fitted" for f in reading.findings)


@pytest.mark.parametrize(("minutes", "timely"), [(12.0, True), (3.0, False), (45.0, False), (None, False)])
def test_one_image_is_flagged_unless_its_time_is_right(minutes: float | None, timely: bool) -> None:
    quantity = _quantity([_image(1000.0)])
    facts = {k: v for k, v in quantity.facts.items() if k != "luciferin_s"} | ({} if minutes is None else {"luciferin_s": 60 * minutes})
    values, _ = measure(
        _quantity([_image(1000.0)], facts=facts) if minutes is not None else _no_time(quantity, facts), _map(tumour=TUMOUR), _context()
    )
    assert ("luciferin_timing" not in _one(values).flag) == timely


def _no_time(quantity: Quantity, facts: Mapping[str, float]) -> Quantity:
    from dataclasses import replace

    return replace(quantity, facts=facts)


def test_flux_is_read_without_a_filter_where_there_is_such_an_image() -> None:
    facts = {"emission_nm_0": 620.0, "emission_nm_1": 0.0, "emission_nm_2": 660.0}
    quantity = _quantity([_image(100.0), _image(1000.0), _image(300.0)], facts=facts)
    assert read_region(quantity, _map(tumour=TUMOUR), 1).flux.mean == pytest.approx(1000)
    coloured = {"emission_nm_0": 620.0, "emission_nm_1": 600.0, "emission_nm_2": 660.0}
    reading = read_region(_quantity([_image(100.0), _image(1000.0), _image(300.0)], facts=coloured), _map(tumour=TUMOUR), 1)
    assert reading.flux.mean == pytest.approx(300) and "660 nm" in reading.method


def test_unknown_noise_stays_unknown() -> None:
    values, _ = measure(_quantity([_image(1000.0)], sd_voxel=None), _map(tumour=TUMOUR), _context())
    assert _one(values).value is not None and _one(values).sd_noise is None


def test_rows_are_of_the_whole_scan() -> None:
    quantity = _quantity([_image(1.0)] * 3, [0.0, 300.0, 900.0])
    organs = _map(tumour=TUMOUR)
    rows = planar_rows(quantity, organs, _context(), measure(quantity, organs, _context())[0])
    assert rows[0].time_start_h == pytest.approx(24.0) and rows[0].time_end_h == pytest.approx(24 + 940 / 3600)
    assert rows[0].time_h == pytest.approx(24 + 470 / 3600) and rows[0].volume_ml is None and rows[0].n_voxels == 30


def test_focal_light_from_two_filters() -> None:
    # A point 4 mm under muscle, seen through filters of no width: the fluxes are the published ratio's (physics: Kuo 2007).
    from tracker.bli.diffusion import escape_share
    from tracker.bli.optics import TISSUES, tissue_optics
    from tracker.bli.spectrum import filter_band

    emitted, depth = 1e7, 4.0
    images, facts = [], {}
    for i, nm in enumerate((620.0, 660.0)):
        band = filter_band("", nm, 20.0)
        out = sum(
            w * float(escape_share(depth, tissue_optics(TISSUES["muscle"], n)))
            for n, w in zip(band.wavelengths_nm, band.shares, strict=True)
        )
        images.append(_image(emitted * out / (30 * PER_PIXEL)))
        facts |= {f"emission_nm_{i}": nm, f"emission_width_nm_{i}": 20.0}
    quantity, organs = _quantity(images, facts=facts), _map(tumour=TUMOUR)
    found = unmix(quantity, organs, _context(depth="focal", focal_tissue="muscle"))
    (value,) = found.values
    assert value.value == pytest.approx(emitted, rel=0.02) and "attenuated" not in value.flag
    assert any(f.check == "depth" and f.reason.startswith("tumour: 4.0") for f in found.findings)
    with pytest.raises(InputError, match="depth_needs_filters"):
        unmix(_quantity(images[:1]), organs, _context(depth="focal", focal_tissue="muscle"))


def test_a_map_without_regions_is_refused() -> None:
    with pytest.raises(InputError, match="regions_missing"):
        measure(_quantity([_image(1.0)]), OrganMap(np.ones(GRID.shape, np.uint8), {1: "liver"}, GRID), _context())


def test_fluorescence_has_no_depth() -> None:
    quantity = _quantity([_image(1.0)], kind="radiant_efficiency")
    with pytest.raises(InputError, match="depth_of_fluorescence"):
        unmix(quantity, _map(tumour=TUMOUR), _context(depth="focal"))
