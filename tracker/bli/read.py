"""Bioluminescence files → `Scan`: a click folder, a sequence of them, or a float TIFF with a sidecar. No person's name is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tracker.bli.camera import same
from tracker.bli.click import coarsened, open_click, read_click
from tracker.bli.clickinfo import ClickText, is_click
from tracker.bli.fluorescence import check_modes, split_background
from tracker.bli.header import COUNTS, EFFICIENCY, RADIANCE, BliHeader, Click
from tracker.bli.notes import of_images
from tracker.bli.photograph import area_mean, read_photograph
from tracker.bli.plain import plain_header
from tracker.bli.rois import VendorRoi, read_rois
from tracker.bli.sequence import check_one_series, choose_clicks
from tracker.bli.settings import on_day, time_of_day
from tracker.bli.sidecar import is_plain, read_plain
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Grid, Scan
from tracker.study.model import Context

__all__ = ["VendorRoi", "planar_grid", "read", "read_rois"]


def read(path: Path, series: str, context: Context) -> Scan:
    """The images at ``path``: values (n, 1, ny, nx) float32 in the order of their times, in counts or the vendor's corrected radiance.

    ``path``: a click folder, a folder of click folders of one series (``series`` names one of several unrelated clicks), or a float
    TIFF with a JSON file beside it. The vendor's corrected image is taken where every click has one in radiance, unless the config says
    ``image: counts``. Clicks of different binning are summed to the coarsest. x runs right, y down, in mm from the image's top-left
    corner. Labels that people typed are not kept, but for the time of day of the luciferin.

    Raises `InputError`: those of `choose_clicks`, `check_one_series`, `read_settings`, `read_click` and `read_plain`, and
    ``mixed_fields``, ``mixed_grids``, ``mixed_units``, ``mixed_modes``, ``no_time``.
    """
    if path.is_file() and is_click(path.parent) and not is_plain(path):
        path = path.parent
    if path.is_file():
        return _read_plain(path, context)
    folders = choose_clicks(path, series)
    # A sheet's time stands for one click; it cannot order several.
    acquired = context.acquisition.acquired if len(folders) == 1 else None
    opened = [open_click(folder, acquired) for folder in folders]
    noted = () if series or path == folders[0] else check_one_series(path, opened)
    opened.sort(key=lambda one: (one.settings.start or datetime.max, one.text.folder.name))
    clicks = _on_one_grid([read_click(one, context.constants) for one in opened], path)
    clicks, background, modes = split_background(clicks)
    check_modes(clicks, path)
    source, why = _source(clicks, context.constants, path)
    shape = _shape(clicks[0])
    field_cm = clicks[0].settings.field_of_view_cm
    photograph, seen = _photograph([one.text for one in opened], shape, field_cm)
    times = _times(clicks, path)
    luciferin = next((one.text.luciferin for one in opened if one.text.luciferin), "")
    header = BliHeader(tuple(clicks), source, field_cm, photograph, _typed(luciferin, times), background=background)
    values, unit = _values(clicks, source)
    findings = (*noted, *modes, *of_images([c.findings for c in clicks]), *why, *seen, *_settings_noted(clicks))
    return Scan(values, unit, planar_grid(shape, 10 * field_cm / shape[1]), times, header, findings)


def planar_grid(shape: tuple[int, int], pixel_mm: float) -> Grid:
    """The grid of an image (ny, nx): x right, y down [mm] from its top-left corner, so that the first pixel's middle is half a pixel in.

    >>> planar_grid((2, 4), 3.0).affine[:2, 3].tolist()
    [1.5, 1.5]
    """
    affine = np.diag([pixel_mm, pixel_mm, 1.0, 1.0])
    affine[:2, 3] = pixel_mm / 2
    return Grid((1, *shape), affine)


def _photograph(texts: Sequence[ClickText], shape: tuple[int, int], field_cm: float) -> tuple[np.ndarray | None, tuple[Finding, ...]]:
    """The first usable photograph of the clicks; what is wrong with the first click's where none has one."""
    found = [read_photograph(texts[0], shape, field_cm)]
    for text in texts[1:]:
        if found[-1][0] is not None:
            return found[-1]
        found.append(read_photograph(text, shape, field_cm))
    return found[-1] if found[-1][0] is not None else found[0]


def _shape(click: Click) -> tuple[int, int]:
    image = click.raw.counts if click.raw is not None else click.corrected.values if click.corrected is not None else np.empty((0, 0))
    return image.shape[0], image.shape[1]


def _on_one_grid(clicks: Sequence[Click], path: Path) -> list[Click]:
    """The clicks with the pixels of the coarsest. Raises ``mixed_fields``, ``mixed_grids``."""
    first = clicks[0].settings.field_of_view_cm
    other = next((c for c in clicks if not same(c.settings.field_of_view_cm, first)), None)
    if other is not None:
        raise InputError("mixed_fields", "clicks of one series have different fields of view", found=f"{first:g} and "
                         f"{other.settings.field_of_view_cm:g} cm", expected="one field of view", where=path,
                         do="give each click a row of its own in the acquisitions sheet, with its name in `series`")  # fmt: skip
    shapes = [_shape(c) for c in clicks]
    ny, nx = min(shapes)
    if any(y % ny or x % nx or y // ny != x // nx for y, x in shapes):
        raise InputError(
            "mixed_grids",
            "images of one series do not fit one another",
            found=", ".join(f"{y} × {x}" for y, x in sorted(set(shapes))),
            expected="one size, or whole multiples",
            where=path,
            do="give each click a row of its own",
        )
    return [coarsened(c, x // nx) for c, (_, x) in zip(clicks, shapes, strict=True)]


def _source(clicks: Sequence[Click], constants: Mapping[str, Any], path: Path) -> tuple[str, tuple[Finding, ...]]:
    """Which images the scan is made of, and why not the corrected ones where there are some."""
    units = [c.corrected.unit if c.corrected is not None else None for c in clicks]
    if constants.get("image", "corrected") == "corrected" and len(set(units)) == 1 and units[0] in (RADIANCE, EFFICIENCY):
        return "corrected", ()
    without = [c.name for c in clicks if c.raw is None]
    if without:
        there = ", ".join(sorted({u or ("no corrected image" if u is None else "no unit stated") for u in units}))
        raise InputError("mixed_units", "the images are not all in radiance, and not all can be calibrated from counts",
                         found=f"{there}; no counts in {', '.join(without)}", expected=RADIANCE, where=path,
                         do="copy luminescent.TIF of every click, or export all in radiance")  # fmt: skip
    said = sorted({u or "no stated unit" for u in units if u is not None})
    if not said or (said == [RADIANCE] and constants.get("image") == "counts"):
        return "counts", ()
    some = "of some clicks only" if None in units else f"in {', '.join(said)}"
    return "counts", (Finding("corrected_image", "warn", f"the vendor's corrected image is {some}: the counts are calibrated instead"),)


def _values(clicks: Sequence[Click], source: str) -> tuple[np.ndarray, str]:
    images = [c.corrected.values if source == "corrected" and c.corrected else c.raw.counts for c in clicks if c.corrected or c.raw]  # type: ignore[union-attr]
    unit = clicks[0].corrected.unit if source == "corrected" and clicks[0].corrected is not None else COUNTS
    values = np.stack(images)[:, None].astype(np.float32)
    if np.isinf(values).any():
        raise InputError("infinite_values", "an image holds infinite values", found=str(int(np.isinf(values).sum())), expected="numbers",
                         where=clicks[0].path, do="copy the files from the camera again")  # fmt: skip
    return values, unit


def _times(clicks: Sequence[Click], path: Path) -> FrameTimes:
    starts = [c.settings.start for c in clicks]
    if any(s is None for s in starts):
        raise InputError(
            "no_time",
            "a click does not say when it was taken",
            found=", ".join(c.name for c in clicks if c.settings.start is None),
            expected="`Acquisition Date`, `Acquisition Time`",
            where=path,
            do="write the start into the sheet's `acquired` column, one row a click",
        )
    known = [s for s in starts if s is not None]
    return FrameTimes(known[0], tuple((s - known[0]).total_seconds() for s in known), tuple(c.settings.exposure_s for c in clicks))


def _typed(text: str, times: FrameTimes) -> datetime | None:
    """The luciferin's time of day on the day of the scan, or the day before where it would lie after the scan; None for other text."""
    clock = time_of_day(text)
    if clock is None:
        return None
    typed = on_day(times.origin.date(), clock)
    last = times.origin.replace(tzinfo=None) + timedelta(seconds=times.start_s[-1])
    return typed if typed <= last else None


def _settings_noted(clicks: Sequence[Click]) -> tuple[Finding, ...]:
    """That a series was taken with more than one setting: each image is calibrated by its own."""
    settings = [c.settings for c in clicks]
    mixed = [
        word
        for word, kinds in (
            ("f-number", {s.f_number for s in settings}),
            ("exposure", {s.exposure_s for s in settings}),
            ("filter", {s.emission_nm for s in settings}),
            ("binning", {c.raw.summed for c in clicks if c.raw is not None}),
        )
        if len(kinds) > 1
    ]
    why = f"images differ in {', '.join(mixed)}: each is calibrated with its own"
    return (Finding("settings_mixed", "ok", why),) if mixed else ()


def _read_plain(path: Path, context: Context) -> Scan:
    plain = read_plain(path, context.acquisition.acquired)
    if plain.acquired is None:
        raise InputError("no_time", "nothing says when the image was taken", found="no `acquired`", expected="in the sidecar or the sheet",
                         where=path, do="write it into the sheet's `acquired` column")  # fmt: skip
    shape = plain.values.shape[1], plain.values.shape[2]
    order = np.argsort(plain.start_s, kind="stable")
    header = plain_header(plain, path, order)
    if plain.photograph is not None:
        from tracker.bli.tiff import read_tiff

        page = read_tiff(plain.photograph, "uf")[0].astype(np.float64)
        header = replace(header, photograph=area_mean(page if page.ndim == 2 else page[..., :3].mean(axis=-1), shape))
    starts = [plain.start_s[i] for i in order]
    times = FrameTimes(
        plain.acquired + timedelta(seconds=starts[0]), tuple(s - starts[0] for s in starts), tuple(plain.exposure_s[i] for i in order)
    )
    values = plain.values[order][:, None].astype(np.float32)
    return Scan(values, plain.unit, planar_grid(shape, plain.pixel_mm), times, header, ())
