"""Multi-echo scans as ParaVision writes them: acqp, method, and per reconstruction 2dseq, visu_pars, reco, d3proc.

Written from the format's description; nothing is shared with what reads it, so that an error there does not cancel here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from tracker.image import Grid

_WORDS = {"int16": ("_16BIT_SGN_INT", "i2", 32000), "int32": ("_32BIT_SGN_INT", "i4", 2**31 - 2**10)}
_MHZ_PER_T = {"1H": 42.577, "19F": 40.078}
_PARTS = {"magnitude": ("MAGNITUDE_IMAGE",), "phase": ("MAGNITUDE_IMAGE", "PHASE_IMAGE"), "complex": ("REAL_IMAGE", "IMAGINARY_IMAGE")}


@dataclass(frozen=True, slots=True)
class ParavisionOptions:
    """What the files state, and how the pixels are stored.

    ``slopes`` one per echo, else each frame's own so that its largest value fills the word; ``offset`` the same for all frames.
    ``parts`` magnitude, phase (magnitude and phase) or complex (real and imaginary); the latter two need ``phase_rad``, as the
    magnitudes. ``order`` the loops over frames, fastest first. ``solid`` writes 3D frames instead of slices, ``slices_reversed`` with the
    last slice first in the file. ``version`` 5 writes dates as ParaVision 5 and no type of subject. ``edit`` is called with
    visu_pars as a dict of key and text before it is written, for tests of damaged files.
    """

    start: datetime
    experiment: int = 5
    field_t: float = 9.4
    nucleus: str = "1H"
    receiver_gain: float = 101.0
    repetition_ms: float = 800.0
    flip_angle_deg: float = 30.0
    scan_s: float = 240.0
    slopes: tuple[float, ...] = ()
    offset: float = 0.0
    word: str = "int16"
    big_endian: bool = False
    parts: str = "magnitude"
    phase_rad: np.ndarray | None = None
    order: tuple[str, ...] = ("FG_ECHO", "FG_SLICE", "FG_COMPLEX", "FG_CYCLE")
    solid: bool = False
    slices_reversed: bool = False
    subject_type: str = "Quadruped"
    subject_position: str = "Head_Prone"
    echo_type: str = "GradientEcho"
    method: str = "Bruker:MGE"
    version: int = 6
    edit: Callable[[dict[str, str]], None] | None = None


def write_paravision(folder: Path, magnitude: np.ndarray, echo_times_ms: tuple[float, ...], grid: Grid, options: ParavisionOptions) -> Path:
    """The experiment's folder ``<folder>/<experiment>``, as ParaVision leaves it.

    ``magnitude`` (echo, z, y, x), or (repeat, echo, z, y, x), in any unit; ``grid`` must have right angles, and be right-handed where
    frames are ``solid``. Stored integers are round((value - offset) / slope) of their frame.
    """
    echoes = magnitude if magnitude.ndim == 5 else magnitude[None]
    images = _parts(echoes, options)
    loops = _loops(images.shape[:4], options)
    in_order = _frames(images, loops)
    slopes = _slopes(in_order, loops, options)
    experiment = folder / str(options.experiment)
    pdata = experiment / "pdata" / "1"
    pdata.mkdir(parents=True, exist_ok=True)
    _, kind, _ = _WORDS[options.word]
    stored = np.rint((in_order - options.offset) / slopes.reshape(-1, *(1,) * (in_order.ndim - 1)))
    if options.solid and options.slices_reversed:
        stored = stored[:, ::-1]
    stored.astype((">" if options.big_endian else "<") + kind).tofile(pdata / "2dseq")
    visu = {**_visu_pixels(loops, slopes, grid, options), **_visu_space(loops, grid, options), **_visu_acquisition(echo_times_ms, options)}
    if options.edit:
        options.edit(visu)
    _write(pdata / "visu_pars", visu)
    _write(pdata / "reco", _reco(slopes, options))
    _write(pdata / "d3proc", {"IM_SIX": str(grid.shape[2]), "IM_SIY": str(grid.shape[1]), "IM_SIZ": str(len(slopes))})
    _write(experiment / "acqp", _acqp(echo_times_ms, images.shape[0], options))
    _write(experiment / "method", {"Method": _text(options.method), "EffectiveTE": _array(echo_times_ms)})
    return experiment


def _parts(magnitude: np.ndarray, options: ParavisionOptions) -> np.ndarray:
    """(repeat, part, echo, z, y, x)."""
    if options.parts == "magnitude":
        return magnitude[:, None].astype(float)
    if options.phase_rad is None:
        raise ValueError(f"parts {options.parts!r} need phase_rad")
    phase = options.phase_rad.reshape(magnitude.shape)
    pair = (magnitude, phase) if options.parts == "phase" else (magnitude * np.cos(phase), magnitude * np.sin(phase))
    return np.stack(pair, axis=1)


def _loops(shape: tuple[int, ...], options: ParavisionOptions) -> list[tuple[str, int]]:
    sizes = dict(zip(("FG_CYCLE", "FG_COMPLEX", "FG_ECHO", "FG_SLICE"), shape, strict=True))
    return [(name, sizes[name]) for name in options.order if not (options.solid and name == "FG_SLICE")]


def _frames(images: np.ndarray, loops: list[tuple[str, int]]) -> np.ndarray:
    """(frame, [z,] y, x) with the first loop fastest."""
    axis = {"FG_CYCLE": 0, "FG_COMPLEX": 1, "FG_ECHO": 2, "FG_SLICE": 3}
    outer = [axis[name] for name, _ in reversed(loops)]
    inner = [a for a in range(6) if a not in outer]
    ordered = images.transpose(outer + inner)
    return np.asarray(ordered.reshape(-1, *ordered.shape[len(outer) :]))


def _index(loops: list[tuple[str, int]], name: str) -> np.ndarray:
    """Per frame, which element of one loop it is."""
    numbers = np.indices([size for _, size in reversed(loops)]).reshape(len(loops), -1)
    return np.asarray(numbers[len(loops) - 1 - [n for n, _ in loops].index(name)])


def _slopes(frames: np.ndarray, loops: list[tuple[str, int]], options: ParavisionOptions) -> np.ndarray:
    if options.slopes:
        return np.array([options.slopes[e] for e in _index(loops, "FG_ECHO")])
    largest = np.abs(frames - options.offset).reshape(len(frames), -1).max(axis=1)
    return np.asarray(np.where(largest > 0, largest / _WORDS[options.word][2], 1.0))


def _text(word: str) -> str:
    return f"<{word}>"


def _wrapped(items: Iterable[str]) -> str:
    # As ParaVision does: a broken line keeps its space, and a minus or an exponent's hyphen is no place to break it.
    return " \n".join(textwrap.wrap(" ".join(items), 76, break_on_hyphens=False, break_long_words=False))


def _array(values: object, *rows: int) -> str:
    flat = np.ravel(np.asarray(values, float))
    shape = ", ".join(str(n) for n in (rows or (len(flat),)))
    return f"( {shape} )\n" + _wrapped(repr(float(v)) for v in flat)


def _words(values: list[str]) -> str:
    return f"( {len(values)} )\n" + _wrapped(values)


def _visu_pixels(loops: list[tuple[str, int]], slopes: np.ndarray, grid: Grid, options: ParavisionOptions) -> dict[str, str]:
    depth, rows, columns = grid.shape
    sizes = [columns, rows, depth] if options.solid else [columns, rows]
    starts = {"FG_ECHO": ["VisuAcqEchoTime"], "FG_SLICE": ["VisuCoreOrientation", "VisuCorePosition"]}
    dependent: list[str] = []
    first: list[str] = []
    for name, size in loops:
        keys = starts.get(name, [])
        first.append(f"({size}, <{name}>, <>, {len(dependent)}, {len(keys)})")
        dependent += [f"(<{key}>, 0)" for key in keys]
    return {
        "VisuVersion": "1" if options.version < 6 else "3",
        "VisuCreatorVersion": _text("5.1" if options.version < 6 else "6.0.1"),
        "VisuCoreFrameCount": str(len(slopes)),
        "VisuCoreDim": str(len(sizes)),
        "VisuCoreSize": f"( {len(sizes)} )\n{' '.join(map(str, sizes))}",
        "VisuCoreDimDesc": _words(["spatial"] * len(sizes)),
        "VisuCoreUnits": f"( {len(sizes)}, 65 )\n" + " ".join(["<mm>"] * len(sizes)),
        "VisuCoreDataOffs": _array([options.offset] * len(slopes)),
        "VisuCoreDataSlope": _array(slopes),
        "VisuCoreFrameType": _words(list(_PARTS[options.parts])),
        "VisuCoreWordType": _WORDS[options.word][0],
        "VisuCoreByteOrder": "bigEndian" if options.big_endian else "littleEndian",
        "VisuCoreDiskSliceOrder": "disk_reverse_slice_order" if options.slices_reversed else "disk_normal_slice_order",
        "VisuFGOrderDescDim": str(len(loops)),
        "VisuFGOrderDesc": f"( {len(loops)} )\n" + " ".join(first),
        "VisuGroupDepVals": f"( {len(dependent)} )\n" + " ".join(dependent),
    }


def _visu_space(loops: list[tuple[str, int]], grid: Grid, options: ParavisionOptions) -> dict[str, str]:
    """Geometry in the subject's system: x to the left, y to the back, z to the head."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine
    edges = np.linalg.norm(lps[:3, :3], axis=0)
    x, y, z = (lps[:3, :3] / edges).T
    if abs(x @ y) > 1e-6 or abs(x @ z) > 1e-6 or abs(y @ z) > 1e-6 or (options.solid and np.cross(x, y) @ z < 0):
        raise ValueError("ParaVision's frames have right angles, solid ones are right-handed")
    depth, rows, columns = grid.shape
    extent = [columns * edges[0], rows * edges[1], depth * edges[2]]
    centres = lps[:3, 3] + np.outer(np.arange(1 if options.solid else depth), lps[:3, 2])
    matrix = np.concatenate([x, y, np.cross(x, y)])
    return {
        "VisuCoreExtent": _array(extent if options.solid else extent[:2]),
        "VisuCoreFrameThickness": _array([extent[2] if options.solid else edges[2]]),
        "VisuCoreOrientation": _array(np.tile(matrix, len(centres)), len(centres), 9),
        "VisuCorePosition": _array(centres, len(centres), 3),
    }


def _visu_acquisition(echo_times_ms: tuple[float, ...], options: ParavisionOptions) -> dict[str, str]:
    old = options.version < 6
    start = options.start
    newer = start.strftime("%Y-%m-%dT%H:%M:%S,") + f"{start.microsecond // 1000:03d}" + start.strftime("%z")
    date = f"{start:%H:%M:%S} {start.day:2d} {start:%b %Y}" if old else newer
    told = {
        "VisuSubjectName": "( 65 )\n<Digital Phantom>",
        "VisuSubjectPosition": options.subject_position,
        "VisuAcqDate": f"( 21 )\n{_text(date)}",
        "VisuAcqSequenceName": f"( 65 )\n{_text(options.method + ' (pvm)')}",
        "VisuAcqImagingFrequency": f"{options.field_t * _MHZ_PER_T[options.nucleus]:.15g}",
        "VisuAcqImagedNucleus": f"( 8 )\n{_text(options.nucleus)}",
        "VisuAcqRepetitionTime": _array([options.repetition_ms]),
        "VisuAcqFlipAngle": f"{options.flip_angle_deg:.15g}",
        "VisuAcqEchoTime": _array(echo_times_ms),
        "VisuAcqScanTime": f"{options.scan_s * 1000:.15g}",
    }
    return told if old else {**told, "VisuSubjectType": options.subject_type, "VisuAcqEchoSequenceType": options.echo_type}


def _reco(slopes: np.ndarray, options: ParavisionOptions) -> dict[str, str]:
    return {
        "RECO_wordtype": _WORDS[options.word][0],
        "RECO_byte_order": "bigEndian" if options.big_endian else "littleEndian",
        "RECO_image_type": "COMPLEX_IMAGE" if options.parts == "complex" else "MAGNITUDE_IMAGE",
        "RECO_map_slope": _array(1.0 / slopes),
        "RECO_map_offset": _array([options.offset] * len(slopes)),
    }


def _acqp(echo_times_ms: tuple[float, ...], repeats: int, options: ParavisionOptions) -> dict[str, str]:
    return {
        "RG": f"{options.receiver_gain:.15g}",
        "NUC1": f"( 8 )\n{_text(options.nucleus)}",
        "NR": str(repeats),
        "NECHOES": str(len(echo_times_ms)),
        "ACQ_patient_pos": options.subject_position,
        "ACQ_echo_time": _array(echo_times_ms),
        "ACQ_operator": "( 16 )\n<phantom>",
    }


def _write(path: Path, parameters: dict[str, str]) -> None:
    head = ["##TITLE=Parameter List, ParaVision", "##JCAMPDX=4.24", "##DATATYPE=Parameter Values", "##ORIGIN=phantom", "##OWNER=phantom"]
    lines = [*head, *(f"##${key}={text}" for key, text in parameters.items()), "##END=", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
