"""What all digital studies share: ``phantom:`` of the config, the animals and where their cells are, organ maps, truth tables.

How a scanner sees that is each modality's own phantom. Nothing here uses the code that reads, calibrates or corrects scans: an
error must not cancel.
"""

from __future__ import annotations

from tracker.digital.cells import OrganContents, animal_map, animal_rates, organ_contents, organ_shares
from tracker.digital.contract import ContractCase
from tracker.digital.files import make_room, write_nifti, write_organs, write_truth
from tracker.digital.study import (
    Animal,
    DigitalStudy,
    animal_of,
    check_formats,
    digital_study,
    generator,
    in_turn,
    package_section,
    scan_hours,
    scan_start,
)

__all__ = [
    "Animal",
    "ContractCase",
    "DigitalStudy",
    "OrganContents",
    "animal_map",
    "animal_of",
    "animal_rates",
    "check_formats",
    "digital_study",
    "generator",
    "in_turn",
    "make_room",
    "organ_contents",
    "organ_shares",
    "package_section",
    "scan_hours",
    "scan_start",
    "write_nifti",
    "write_organs",
    "write_truth",
]
