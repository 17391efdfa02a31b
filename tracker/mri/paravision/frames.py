"""ParaVision's pixels: every frame with its own slope and offset, and the groups that say what a frame is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import InputError
from tracker.mri.paravision.parameters import number, numbers, required_visu, structs, word

_WORD_TYPES = {"_8BIT_UNSGN_INT": "u1", "_16BIT_SGN_INT": "i2", "_32BIT_SGN_INT": "i4", "_32BIT_FLOAT": "f4"}
_BYTE_ORDERS = {"littleEndian": "<", "bigEndian": ">"}


@dataclass(frozen=True, slots=True)
class Group:
    """One loop over frames: its ``name`` (FG_ECHO), ``size``, and per dependent parameter the index of its first value."""

    name: str
    size: int
    starts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames of a reconstruction: ``values`` (frame, y, x), or (frame, z, y, x) of 3D scans, float32, scaled.

    ``groups`` are the loops over frames, fastest first; their sizes multiply to the number of frames.
    """

    values: np.ndarray
    groups: tuple[Group, ...]


def frames(path: Path) -> Frames:
    """All frames of a ``pdata/<n>`` folder (or its ``2dseq``), scaled, whatever they show: also localisers and maps.

    value = stored · VisuCoreDataSlope[frame] + VisuCoreDataOffs[frame]. The reciprocal RECO_map_slope is not used in its place.
    Raises `InputError` where a slope or offset is missing, zero or not finite, and where the file is not as long as it should be.
    """
    folder = path if path.is_dir() else path.parent
    visu = required_visu(folder)
    return Frames(scaled(folder, visu), frame_groups(visu))


def frame_count(visu: Any) -> int:
    """How many frames the file announces."""
    count = number(visu, "VisuCoreFrameCount")
    if count is None or count < 1:
        raise _broken(visu, "VisuCoreFrameCount", count, "a whole number from 1")
    return int(count)


def frame_groups(visu: Any) -> tuple[Group, ...]:
    """The loops over frames, fastest first. Frames that no group explains are one group without a name."""
    count = frame_count(visu)
    dependent = [(name.strip("<> "), start) for name, start in structs(visu, "VisuGroupDepVals", (str, int))]
    described = structs(visu, "VisuFGOrderDesc", (int, str, str, int, int))
    groups = [Group(name.strip("<> "), size, tuple(dependent[first : first + many])) for size, name, _, first, many in described]
    if not groups and count > 1:
        return (Group("(no frame group)", count),)
    if math.prod(g.size for g in groups) != count:
        sizes = " x ".join(f"{g.size} {g.name}" for g in groups)
        raise InputError("frames_disagree", "frame groups and number of frames disagree", found=f"{sizes}, {count} frames", where=visu.path,
                         expected="a product", do="the reconstruction was stopped early: reconstruct it again")  # fmt: skip
    return tuple(groups)


def group_size(groups: tuple[Group, ...], name: str) -> int:
    """How many elements the loops of one name have; 1 where there is none."""
    return math.prod(g.size for g in groups if g.name == name)


def frame_sizes(visu: Any) -> tuple[int, ...]:
    """Pixels of a frame as (x, y) or (x, y, z), in VisuCoreSize's order."""
    sizes = numbers(visu, "VisuCoreSize")
    dimensions = number(visu, "VisuCoreDim")
    if sizes is None or dimensions not in (2, 3) or len(sizes) != dimensions or not (sizes >= 1).all():
        raise _broken(visu, "VisuCoreSize", None if sizes is None else sizes.tolist(), "two or three sizes (VisuCoreDim)")
    return tuple(int(n) for n in sizes)


def _broken(visu: Any, key: str, found: object, expected: str) -> InputError:
    return InputError("parameters_missing", f"{key} is missing or makes no sense", found=found, expected=expected, where=visu.path,
                      do="copy the folder again, or export the scan as DICOM")  # fmt: skip


def _scale(visu: Any, key: str, count: int) -> np.ndarray:
    """Slope or offset of each frame; one value alone counts for all frames."""
    found = numbers(visu, key)
    zeros = key != "VisuCoreDataSlope"
    if found is None or found.size not in (1, count) or not np.isfinite(found).all() or not (zeros or found.all()):
        shown = "none" if found is None else f"{found.size} value(s), e.g. {found[:3].tolist()}"
        raise InputError(
            "slope_missing",
            f"{key} does not scale every frame",
            found=shown,
            expected=f"{count} finite value(s), no slope of 0",
            where=visu.path,
            do="reconstruct the scan again in ParaVision",
        )
    return np.broadcast_to(found, (count,))


def _dtype(visu: Any) -> np.dtype:
    kind, order = word(visu, "VisuCoreWordType"), word(visu, "VisuCoreByteOrder")
    if kind not in _WORD_TYPES or order not in _BYTE_ORDERS:
        raise _broken(visu, "VisuCoreWordType or VisuCoreByteOrder", f"{kind or 'none'}, {order or 'none'}", ", ".join(_WORD_TYPES))
    return np.dtype(_BYTE_ORDERS[order] + _WORD_TYPES[kind])


def _check_length(path: Path, expected: int) -> None:
    if not path.is_file():
        raise InputError("pixels_missing", "the pixel file is not there", expected="2dseq", where=path.parent, do="copy the folder again")
    size = path.stat().st_size
    if size != expected:
        code, what = ("truncated_pixels", "shorter") if size < expected else ("frames_disagree", "longer")
        raise InputError(code, f"the pixel file is {what} than its frames", found=f"{size} bytes", expected=f"{expected} bytes", where=path,
                         do="copy the file again")  # fmt: skip


def _exchanged(visu: Any, sizes: tuple[int, ...], count: int) -> list[tuple[int, int] | None]:
    """Per frame the two dimensions that lie exchanged in the file, or None.

    VisuCoreTransposition n exchanges dimensions n - 1 and n, and the last also the first. Where both are of one length, files
    are stored as VisuCoreOrientation says, whatever the parameter (measured on multi-package scans by brukerapi's authors).
    """
    codes = numbers(visu, "VisuCoreTransposition")
    pairs: list[tuple[int, int] | None] = [None] * count
    if codes is None or codes.size not in (1, count):
        return pairs
    for frame, code in enumerate(np.broadcast_to(codes, (count,)).astype(int)):
        a, b = (0, len(sizes) - 1) if code >= len(sizes) else (int(code) - 1, int(code))
        pairs[frame] = (a, b) if code > 0 and sizes[a] != sizes[b] else None
    return pairs


def is_transposed(visu: Any) -> bool:
    """Whether any frame lies in the file with two of its dimensions exchanged."""
    return any(pair is not None for pair in _exchanged(visu, frame_sizes(visu), frame_count(visu)))


def _straight(stored: np.ndarray, sizes: tuple[int, ...], pair: tuple[int, int] | None) -> np.ndarray:
    """One frame's pixels as ([z,] y, x)."""
    if pair is None:
        return stored.reshape(sizes[::-1])
    on_disk = list(sizes)
    on_disk[pair[0]], on_disk[pair[1]] = on_disk[pair[1]], on_disk[pair[0]]
    last = len(sizes) - 1
    return stored.reshape(on_disk[::-1]).swapaxes(last - pair[0], last - pair[1])


def scaled(folder: Path, visu: Any) -> np.ndarray:
    """The pixels (frame, [z,] y, x), float32, each frame by its own slope and offset, reckoned in float64."""
    count, sizes, dtype = frame_count(visu), frame_sizes(visu), _dtype(visu)
    slope, offset = _scale(visu, "VisuCoreDataSlope", count), _scale(visu, "VisuCoreDataOffs", count)
    per_frame = math.prod(sizes)
    _check_length(folder / "2dseq", count * per_frame * dtype.itemsize)
    stored = np.memmap(folder / "2dseq", dtype, "r", shape=(count, per_frame))
    values = np.empty((count, *sizes[::-1]), np.float32)
    for frame, pair in enumerate(_exchanged(visu, sizes, count)):
        values[frame] = _straight(stored[frame], sizes, pair) * slope[frame] + offset[frame]
    # ParaVision's own header: slice order on disk is a matter of 3D frames only; slices of 2D scans carry their positions.
    reverse = len(sizes) == 3 and word(visu, "VisuCoreDiskSliceOrder") == "disk_reverse_slice_order"
    return np.ascontiguousarray(values[:, ::-1]) if reverse else values
