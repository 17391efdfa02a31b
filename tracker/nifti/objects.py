"""What stages hand to one another, on disk: a NIfTI that any viewer opens, and a JSON beside it with all that NIfTI cannot hold."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Conversion, FrameTimes, Grid, OrganMap, Quantity
from tracker.nifti.volumes import read_nifti, write_nifti

# Images of a quantity beside its values, and what their files' names end in.
_BESIDE = {"sd_voxel": "_sd.nii", "censored": "_censored.nii", "limit": "_limit.nii"}


def beside(path: Path, ending: str) -> Path:
    """The file beside a NIfTI with the same stem: ``organs.nii.gz`` and ``.tsv`` give ``organs.tsv``.

    >>> beside(Path("a.b.nii.gz"), ".tsv").name
    'a.b.tsv'
    """
    stem = path.name.removesuffix(".gz")
    return path.with_name((stem.removesuffix(".nii") if stem.endswith(".nii") else Path(stem).stem) + ending)


def _write_json(path: Path, record: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def _read_json(path: Path, kind: str) -> dict[str, Any]:
    """The sidecar; `InputError` where it is absent, broken or of another kind of object."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("sidecar_missing", "the file has no sidecar", expected=path.name, do="run its stage again") from error
    except ValueError as error:
        raise InputError("sidecar_broken", "the sidecar is no JSON", found=error, where=path.name, do="run its stage again") from error
    if not isinstance(record, dict) or record.get("object") != kind:
        raise InputError("sidecar_broken", "the sidecar is of something else", expected=kind, where=path.name, do="run its stage again")
    return record


def _space(grid: Grid, method: str, findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "affine": np.asarray(grid.affine, dtype=np.float64).tolist(),
        "frame_of_reference_uid": grid.frame_of_reference_uid,
        "method": method,
        "findings": [[f.check, f.status, f.reason] for f in findings],
    }


def _grid(record: dict[str, Any], shape: tuple[int, ...]) -> Grid:
    affine = np.array(record["affine"], dtype=np.float64)
    return Grid((shape[-3], shape[-2], shape[-1]), affine, record["frame_of_reference_uid"])


def _findings(record: dict[str, Any]) -> tuple[Finding, ...]:
    return tuple(Finding(*line) for line in record["findings"])


def write_quantity(path: Path, quantity: Quantity) -> None:
    """Writes ``path`` (.nii, float32, one frame in memory at a time) and a JSON beside it, and one more file for each further image:
    ``<stem>_sd.nii``, ``<stem>_censored.nii``, ``<stem>_limit.nii`` where there are such, and ``<stem>_NAME.nii`` for each of ``maps``.

    float32 keeps 7 digits of a value; affine and times are kept exactly. Raises ValueError where ``path`` is not ``.nii``.
    """
    if path.suffix != ".nii":
        raise ValueError(f"{path.name}: a quantity is stored uncompressed, as .nii, so that it can be memory-mapped")
    times = quantity.times
    record = {
        "object": "quantity",
        "unit": quantity.unit,
        "kind": quantity.kind,
        "origin": times.origin.isoformat(),
        "start_s": [float(s) for s in times.start_s],
        "duration_s": [float(s) for s in times.duration_s],
        "scale_cv": quantity.scale_cv,
        "beside": [name for name in _BESIDE if getattr(quantity, name) is not None],
        "maps": sorted(quantity.maps),
        "facts": {name: float(value) for name, value in quantity.facts.items()},
        "conversion": None if quantity.conversion is None else asdict(quantity.conversion),
        **_space(quantity.grid, quantity.method, quantity.findings),
    }
    for name in record["beside"]:
        write_nifti(beside(path, _BESIDE[name]), getattr(quantity, name), quantity.grid, _dtype(name))
    for name, values in quantity.maps.items():
        write_nifti(beside(path, f"_{name}.nii"), values, quantity.grid, np.asarray(values[:1]).dtype)
    write_nifti(path, quantity.values, quantity.grid)
    _write_json(beside(path, ".json"), record)


def read_quantity(path: Path) -> Quantity:
    """The `Quantity` that `write_quantity` wrote; ``values`` (t, z, y, x) float32, memory-mapped read-only."""
    record = _read_json(beside(path, ".json"), "quantity")
    values, _ = read_nifti(path)
    # A single frame may come back without its time axis; only the sidecar knows that it is one.
    values = values if values.ndim == 4 else values[None]
    times = FrameTimes(datetime.fromisoformat(record["origin"]), tuple(record["start_s"]), tuple(record["duration_s"]))
    images = {name: _image(beside(path, _BESIDE[name])) for name in record["beside"]}
    conversion = record["conversion"]
    return Quantity(
        values,
        record["unit"],
        _grid(record, values.shape),
        times,
        record["kind"],
        images.get("sd_voxel"),
        record["scale_cv"],
        record["method"],
        _findings(record),
        None if conversion is None else Conversion(**{**conversion, "flags": tuple(conversion["flags"])}),
        images.get("censored"),
        images.get("limit"),
        {name: read_nifti(beside(path, f"_{name}.nii"))[0] for name in record["maps"]},
        record["facts"],
    )


def _dtype(name: str) -> Any:
    # NIfTI has no type for true and false.
    return np.uint8 if name == "censored" else np.float32


def _image(path: Path) -> Any:
    values = read_nifti(path)[0]
    return values if values.ndim == 4 else values[None]


def write_organ_map(path: Path, organs: OrganMap) -> None:
    """Writes ``path`` (.nii or .nii.gz, uint16), ``<stem>.tsv`` (``index``, ``name``) and ``<stem>.json``; shares of voxels, where the map
    has them, as ``<stem>_shares.nii``, one image an organ by rising index.
    """
    record = {
        "object": "organ_map",
        **_space(organs.grid, organs.method, organs.findings),
        "boundary_sd_mm": {str(index): float(sd) for index, sd in organs.boundary_sd_mm.items()},
        "shares": sorted(organs.shares),
    }
    if organs.shares:
        write_nifti(beside(path, "_shares.nii"), np.stack([organs.shares[i] for i in sorted(organs.shares)]), organs.grid, np.float32)
    write_nifti(path, organs.labels, organs.grid, np.uint16)
    table = beside(path, ".tsv")
    part = table.with_name(table.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerows([("index", "name"), *sorted(organs.names.items())])
    os.replace(part, table)
    _write_json(beside(path, ".json"), record)


def read_organ_map(path: Path) -> OrganMap:
    """The `OrganMap` that `write_organ_map` wrote. It is no reader for a user's map: that is `tracker.organs.read_organs`."""
    record = _read_json(beside(path, ".json"), "organ_map")
    values, _ = read_nifti(path)
    with beside(path, ".tsv").open(newline="", encoding="utf-8") as file:
        names = {int(index): name for index, name in list(csv.reader(file, delimiter="\t"))[1:]}
    labels = np.asarray(values)
    images = _image(beside(path, "_shares.nii")) if record["shares"] else ()
    return OrganMap(
        labels,
        names,
        _grid(record, labels.shape),
        record["method"],
        _findings(record),
        {int(index): sd for index, sd in record["boundary_sd_mm"].items()},
        dict(zip(record["shares"], images, strict=True)),
    )
