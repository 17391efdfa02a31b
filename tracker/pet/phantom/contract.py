"""One plain scan with a known truth, for the contract that every modality keeps (tests/test_modality_contract.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tracker.digital import ContractCase, write_organs
from tracker.mouse import mouse_grid, mouse_labels
from tracker.pet.phantom.classic import write_classic
from tracker.pet.phantom.options import NUCLIDES, ScanOptions
from tracker.pet.phantom.truth import PetTruth, Slot, map_fractions, scan
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, Subject

_INJECTED, _START_S, _LENGTH_S = datetime(2026, 3, 2, 9, 0), 3600.0, 1200.0


def contract_case(folder: Path, strength: float) -> ContractCase:
    """Writes a scan of a mouse whose organs hold ``strength`` × a different amount each; 0 is an empty animal."""
    organs = mouse_labels(25.0, mouse_grid(25.0, 1.5))
    names, fractions = map_fractions(organs)
    half_life_s = NUCLIDES["89Zr"][0]
    at_dose_bq = strength * 1e4 * (1.0 + np.arange(len(names)))
    truth = PetTruth(organs.grid, names, fractions, at_dose_bq, half_life_s)
    image = scan(truth, [[Slot(_START_S, _LENGTH_S)]], _START_S)
    options = ScanOptions(_INJECTED + timedelta(seconds=_START_S), _INJECTED, dose_bq=1e6, weight_kg=0.025)
    write_classic(folder / "scan", image, options)
    write_organs(folder / "organs.nii.gz", organs)
    middle = 2.0 ** (-(_START_S + _LENGTH_S / 2) / half_life_s)
    row = Acquisition("m1", "d0", "pet", folder / "scan", "d0", label="zr", organs=folder / "organs.nii.gz")
    doses = (Dose("m1", _INJECTED, "zr", 1e6, "iv", amount=1e6, amount_unit="Bq"),)
    label = Label("zr", "radionuclide", "89Zr")
    context = Context("contract", row, Subject("m1", "mouse", 25.0), doses, label, _INJECTED, {}, Organs(), Corrections())
    return ContractCase(context, folder / "organs.nii.gz", "Bq/mL", dict(zip(names, (at_dose_bq * middle).tolist(), strict=True)))
