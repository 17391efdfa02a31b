"""NIfTI: a file an echo with its BIDS sidecar, phase beside magnitude."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tracker.image import Grid
from tracker.mri.phantom.options import ScanOptions, quantise
from tracker.mri.phantom.truth import MriImage


def _sidecar(options: ScanOptions, echo: int, time_s: float, part: str) -> dict[str, Any]:
    return {
        "Modality": "MR",
        "MagneticFieldStrength": options.field_t,
        "Manufacturer": "Digital Phantom",
        "ImageType": ["ORIGINAL", "PRIMARY", "M" if part == "mag" else "P", "ND"],
        "ImagedNucleus": options.nucleus,
        "MRAcquisitionType": "3D",
        "ScanningSequence": "GR",
        "EchoNumber": echo,
        "EchoTime": round(time_s, 9),
        "RepetitionTime": options.repetition_time_ms / 1000.0,
        "FlipAngle": options.flip_angle_deg,
        "AcquisitionDateTime": options.scan_start.isoformat(),
        "AcquisitionTime": options.scan_start.strftime("%H:%M:%S.%f"),
        "AcquisitionDuration": options.duration_s,
        **({"Units": "rad"} if part == "phase" else {}),
    }


def _write(path: Path, values: np.ndarray, grid: Grid, slope: float | None) -> None:
    # NIfTI's axis order is the reverse of ours; transposing a C array gives NIfTI's own order in memory.
    image = nib.Nifti1Image(values.T, grid.affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "sec")  # type: ignore[no-untyped-call]
    if slope is not None:
        # Set beforehand, so that the numbers are written as they are and not scaled anew for each echo.
        image.header.set_slope_inter(slope, 0.0)  # type: ignore[no-untyped-call]
    nib.save(image, path)


def write_nifti_bids(folder: Path, image: MriImage, options: ScanOptions) -> tuple[Path, ...]:
    """A NIfTI and a sidecar for each echo in ``folder``, and ``sub-…_scans.tsv`` with the scan's date.

    Magnitudes are uint16 with one slope for all echoes, phases float32 in radians.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{options.patient_id}_ses-{options.session}"
    slope, magnitude = quantise(image.magnitude)
    volumes: dict[str, tuple[np.ndarray, float | None]] = {"mag": (magnitude, slope)}
    if options.with_phase:
        volumes["phase"] = (image.phase_rad.astype(np.float32), None)
    paths = []
    for echo, time_s in enumerate(image.echo_times_s):
        for part, (values, scale) in volumes.items():
            path = folder / f"{stem}_echo-{echo + 1}_part-{part}_MEGRE.nii.gz"
            _write(path, values[echo], image.grid, scale)
            sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
            sidecar.write_text(json.dumps(_sidecar(options, echo + 1, time_s, part), indent=2) + "\n", encoding="utf-8")
            paths += [path, sidecar]
    scans = folder / f"{stem}_scans.tsv"
    rows = "".join(f"{p.name}\t{options.scan_start.isoformat()}\n" for p in paths if p.suffix == ".gz")
    scans.write_text("filename\tacq_time\n" + rows, encoding="utf-8")
    return (*paths, scans)
