"""Organ values with their noise from a calibrated image and an organ map: one pass a frame for all organs.

`quantify` makes the table's rows; `label_statistics` is the pass; `organ_noise` says how far the image's noise moves an organ's mean.
"""

from tracker.quantify.ceiling import organ_ceilings
from tracker.quantify.density import density_g_per_ml
from tracker.quantify.noise import Noise, organ_noise
from tracker.quantify.peak import organ_peak, sphere
from tracker.quantify.planar import planar_rows
from tracker.quantify.rows import Beside, OrganValue, Quantified, quantify
from tracker.quantify.sites import Sites, find_sites
from tracker.quantify.statistics import LabelStatistics, label_statistics
from tracker.quantify.unmixed import Unmixing, unmixed_rows, wants_unmixing

__all__ = [
    "Beside",
    "LabelStatistics",
    "Noise",
    "OrganValue",
    "Quantified",
    "Sites",
    "Unmixing",
    "density_g_per_ml",
    "find_sites",
    "label_statistics",
    "organ_ceilings",
    "organ_noise",
    "organ_peak",
    "planar_rows",
    "quantify",
    "sphere",
    "unmixed_rows",
    "wants_unmixing",
]
