"""A known truth → raw PET and SPECT files as a scanner would write them: classic and enhanced DICOM, NM, NIfTI with BIDS sidecar.

`truth` makes the image, `options` says what the header states, one file a format writes it, `study` makes a whole digital study.
Nothing here uses the code that reads, calibrates or decay-corrects scans: an error must not cancel.
"""

from __future__ import annotations

from pathlib import Path

from tracker.pet.phantom.bids import write_nifti_bids
from tracker.pet.phantom.classic import write_classic
from tracker.pet.phantom.enhanced import write_enhanced
from tracker.pet.phantom.nm import write_nm
from tracker.pet.phantom.options import ScanOptions
from tracker.pet.phantom.study import (
    WRITERS,
    PetPhantom,
    TruthRow,
    net_dose_bq,
    pet_phantom,
    write_animal_raw,
    write_scan_raw,
    write_study_raw,
)
from tracker.pet.phantom.truth import Degradation, PetImage, PetTruth, Slot, concentration_at_dose, map_fractions, scan

__all__ = [
    "WRITERS",
    "Degradation",
    "PetImage",
    "PetPhantom",
    "PetTruth",
    "ScanOptions",
    "Slot",
    "TruthRow",
    "concentration_at_dose",
    "map_fractions",
    "net_dose_bq",
    "pet_phantom",
    "scan",
    "write_acquisition",
    "write_animal_raw",
    "write_classic",
    "write_enhanced",
    "write_nifti_bids",
    "write_nm",
    "write_scan_raw",
    "write_study_raw",
]


def write_acquisition(folder: Path, image: PetImage, options: ScanOptions, kind: str = "classic") -> tuple[Path, ...]:
    """The raw files of a scan in ``folder`` as ``kind`` (``classic``, ``enhanced``, ``nm``, ``nifti``); their paths."""
    return WRITERS[kind](folder, image, options)
