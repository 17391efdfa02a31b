"""The regions that were drawn in the vendor's software, in mm on the image; no label of animals or people but the region's own name."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from tracker.bli.clickinfo import ClickText, is_click, numbers_in, parse_blocks, read_click_text, value_of
from tracker.bli.clickinfo import decode as decode_text
from tracker.errors import InputError

_SHAPES = ("circle", "square", "contour", "grid")
_LINE = re.compile(r"ROI\s*\d+", re.IGNORECASE)
_POINTS = re.compile(r"point|vert|coord|contour", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VendorRoi:
    """A region as the vendor's file has it, in mm: x to the right, y down, from the image's top-left corner.

    ``shape``: circle (any ellipse), square (any rectangle), contour, grid. ``width_mm`` and ``height_mm`` are full; ``angle_deg`` as the
    file states it. ``kind``: ``Measurement``, ``Average Bkg``, …; ``background``: the name of the region taken off it, empty for none.
    A contour has its ``points_mm``, empty where the file holds none that can be read; a grid its ``rows`` and ``columns``, else 0.
    """

    label: str
    shape: str
    kind: str
    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float
    angle_deg: float
    background: str = ""
    rows: int = 0
    columns: int = 0
    points_mm: tuple[tuple[float, float], ...] = ()


def read_rois(path: Path, series: str = "") -> tuple[VendorRoi, ...]:
    """The regions of a click folder (or of its ``AnalyzedClickInfo.txt``), none where nobody drew any.

    Of a sequence folder: those that its clicks share, or those of the click that ``series`` names. Places are the file's pixels times
    its `cm per pixel`. Raises `InputError`: ``roi_unreadable`` (a number, a shape or the scale is missing), ``rois_incomplete`` (fewer
    than the file announces), ``rois_differ`` (clicks of a sequence have different ones).
    """
    if path.is_file():
        return _rois(ClickText(path.parent, parse_blocks(decode_text(path), path)))
    if is_click(path):
        return _rois(read_click_text(path))
    clicks = [p for p in sorted(path.iterdir()) if p.is_dir() and is_click(p) and series in ("", p.name)] if path.is_dir() else []
    found = [(p, rois) for p in clicks if (rois := _rois(read_click_text(p)))]
    if len({rois for _, rois in found}) > 1:
        raise InputError("rois_differ", "the clicks of a sequence have different regions", found=", ".join(p.name for p, _ in found),
                         expected="the same regions", where=path, do="name the click in the sheet's `series` column")  # fmt: skip
    return found[0][1] if found else ()


def _rois(text: ClickText) -> tuple[VendorRoi, ...]:
    blocks = [b for b in text.blocks if b.name.lower() == "rois"]
    # The analysed file holds the newer ones; it comes last.
    for block in reversed(blocks):
        lines = [(k, v) for k, v in block.entries if _LINE.fullmatch(k)]
        announced = numbers_in(block.file)
        if announced and len(lines) < announced[0]:
            raise InputError("rois_incomplete", "the file announces more regions than it holds", found=str(len(lines)),
                             expected=f"{announced[0]:g}", where=block.source, do="copy the file again")  # fmt: skip
        if lines:
            # Some files state the scale once for all.
            scale = value_of(block, "cm per pixel")
            return tuple(_roi(k, f"cm per pixel={scale};{v}" if scale else v, block.source) for k, v in lines)
    return ()


def _roi(name: str, line: str, source: Path) -> VendorRoi:
    fields = {k.strip().lower(): v.strip() for k, _, v in (part.partition("=") for part in line.split(";")) if k.strip()}
    where = f"{source}, {name}"
    shape = fields.get("shape", "").lower()
    if shape not in _SHAPES:
        raise InputError("roi_unreadable", "the region has no known shape", found=repr(shape), expected=", ".join(_SHAPES), where=where)
    mm = 10 * _field(fields, "cm per pixel", where, above_zero=True)
    background = fields.get("bkg roi", "")
    points = _points(fields, mm) if shape == "contour" else ()
    if points:
        xs, ys = zip(*points, strict=True)
        box = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)
    else:
        box = (*(mm * _field(fields, key, where) for key in ("xc", "yc")),
               *(mm * _field(fields, key, where, above_zero=True) for key in ("width", "height")))  # type: ignore[assignment]  # fmt: skip
    return VendorRoi(
        label=fields.get("label") or name,
        shape=shape,
        kind=fields.get("roi type") or "Measurement",
        x_mm=box[0],
        y_mm=box[1],
        width_mm=box[2],
        height_mm=box[3],
        angle_deg=_field(fields, "angle", where) if fields.get("angle") else 0.0,
        background="" if background.strip("_").lower() in ("", "none") else background,
        rows=_count(fields, ("rows", "row", "nrows", "num rows", "number of rows")),
        columns=_count(fields, ("columns", "cols", "col", "ncols", "num columns", "num cols", "number of columns")),
        points_mm=points,
    )


def _field(fields: dict[str, str], key: str, where: str, above_zero: bool = False) -> float:
    numbers = numbers_in(fields.get(key, ""))
    if len(numbers) != 1 or not math.isfinite(numbers[0]) or (above_zero and numbers[0] <= 0):
        raise InputError("roi_unreadable", f"`{key}` of the region cannot be read", found=repr(fields.get(key, "")[:40]),
                         expected="a number" + (" above 0" if above_zero else ""), where=where, do="draw the region again")  # fmt: skip
    return numbers[0]


def _count(fields: dict[str, str], keys: tuple[str, ...]) -> int:
    return next((int(n[0]) for key in keys if (n := numbers_in(fields.get(key, ""))) and n[0] >= 1), 0)


def _points(fields: dict[str, str], mm: float) -> tuple[tuple[float, float], ...]:
    """A contour's points: pairs in one field, or the lists of a field x and a field y."""
    x, y = (numbers_in(fields.get(key, "").replace(",", " ")) for key in ("x", "y"))
    if len(x) == len(y) >= 3:
        return tuple((mm * a, mm * b) for a, b in zip(x, y, strict=True))
    for key, value in fields.items():
        numbers = numbers_in(re.sub(r"[(),]", " ", value)) if _POINTS.search(key) else ()
        if len(numbers) >= 6 and len(numbers) % 2 == 0:
            return tuple((mm * a, mm * b) for a, b in zip(numbers[::2], numbers[1::2], strict=True))
    return ()
