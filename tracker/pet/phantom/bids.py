"""NIfTI: a PET image with its BIDS sidecar."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from tracker.digital import write_nifti
from tracker.pet.phantom.options import ScanOptions, decay_factor, reference_time
from tracker.pet.phantom.truth import PetImage


def _sidecar(image: PetImage, options: ScanOptions) -> dict[str, Any]:
    start_s, duration_s = image.start_s[:, 0], image.duration_s[:, 0]
    corrected = options.decay_correction != "NONE"
    sidecar: dict[str, Any] = {
        "Modality": "PT",
        "Manufacturer": options.manufacturer,
        "Units": "Bq/mL",
        "TracerName": f"{options.nuclide} labelled cells",
        "TracerRadionuclide": re.sub(r"(\d+m?)(\D+)", r"\2\1", options.nuclide),
        "ModeOfAdministration": "bolus",
        "TimeZero": options.scan_start.strftime("%H:%M:%S"),
        "ScanStart": 0.0,
        "InjectionStart": (options.injection - options.scan_start).total_seconds(),
        "FrameTimesStart": [float(t) for t in start_s],
        "FrameDuration": [float(t) for t in duration_s],
        "AcquisitionMode": "list mode",
        "ReconMethodName": "phantom",
        "AttenuationCorrection": "CT",
        "ImageDecayCorrected": corrected,
    }
    if corrected:
        sidecar["ImageDecayCorrectionTime"] = (reference_time(options) - options.scan_start).total_seconds()
        sidecar["DecayCorrectionFactor"] = [decay_factor(options, float(s), float(d)) for s, d in zip(start_s, duration_s, strict=True)]
    if options.dose_bq is not None:
        sidecar |= {"InjectedRadioactivity": options.dose_bq, "InjectedRadioactivityUnits": "Bq"}
    sidecar |= {"InjectedMass": "n/a", "InjectedMassUnits": "n/a"}
    if options.weight_kg is not None:
        sidecar["BodyWeight"] = options.weight_kg
    return sidecar


def write_nifti_bids(folder: Path, image: PetImage, options: ScanOptions) -> tuple[Path, ...]:
    """A float32 NIfTI (x, y, z, t) [Bq/mL], its BIDS-PET sidecar, and ``sub-…_scans.tsv`` with the scan's date, in ``folder``.

    Times in the sidecar are seconds from TimeZero, which is the scan's start; the injection before it is negative.
    Raises ValueError for units other than BQML and for several beds.
    """
    if options.units != "BQML" or np.ptp(image.start_s, axis=1).max() > 0:
        raise ValueError("a BIDS phantom is in BQML and has one bed")
    folder.mkdir(parents=True, exist_ok=True)
    factors = [decay_factor(options, float(s), float(d)) for s, d in zip(image.start_s[:, 0], image.duration_s[:, 0], strict=True)]
    values = (image.values * np.array(factors)[:, None, None, None]).astype(np.float32)
    stem = f"sub-{options.patient_id}"
    nifti, sidecar, scans = folder / f"{stem}_pet.nii.gz", folder / f"{stem}_pet.json", folder / f"{stem}_scans.tsv"
    write_nifti(nifti, values, image.grid)
    sidecar.write_text(json.dumps(_sidecar(image, options), indent=2) + "\n", encoding="utf-8")
    scans.write_text(f"filename\tacq_time\n{nifti.name}\t{options.scan_start.isoformat()}\n", encoding="utf-8")
    return nifti, sidecar, scans
