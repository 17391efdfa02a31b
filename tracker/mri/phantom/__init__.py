"""A known truth → raw multi-echo MR scans as a scanner would write them: classic DICOM, NIfTI with BIDS sidecars, ParaVision.

`truth` makes the images, `options` says what the header states, one file a format writes it, `study` makes a whole digital study.
Nothing here uses the code that reads and fits scans: an error must not cancel.
"""

from __future__ import annotations

from tracker.mri.phantom.bids import write_nifti_bids
from tracker.mri.phantom.classic import write_classic
from tracker.mri.phantom.options import ScanOptions
from tracker.mri.phantom.paravision import ParavisionOptions, write_paravision
from tracker.mri.phantom.study import (
    WRITERS,
    MriPhantom,
    TruthRow,
    mri_phantom,
    true_relaxivity,
    write_animal_raw,
    write_scan_raw,
    write_study_raw,
)
from tracker.mri.phantom.truth import TISSUES, Deposit, MriImage, MriTruth, Receiver, scan, smooth_noise, spread_iron

__all__ = [
    "TISSUES",
    "WRITERS",
    "Deposit",
    "MriImage",
    "MriPhantom",
    "MriTruth",
    "ParavisionOptions",
    "Receiver",
    "ScanOptions",
    "TruthRow",
    "mri_phantom",
    "scan",
    "smooth_noise",
    "spread_iron",
    "true_relaxivity",
    "write_animal_raw",
    "write_classic",
    "write_nifti_bids",
    "write_paravision",
    "write_scan_raw",
    "write_study_raw",
]
