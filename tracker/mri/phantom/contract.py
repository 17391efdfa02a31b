"""One plain scan with a known truth, for the contract that every modality keeps (tests/test_modality_contract.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tracker.digital import ContractCase, write_organs
from tracker.mouse import mouse_grid, mouse_labels
from tracker.mri.phantom.classic import write_classic
from tracker.mri.phantom.options import ScanOptions
from tracker.mri.phantom.truth import MriTruth, Receiver, scan
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, Subject

_INJECTED, _START_S, _LENGTH_S = datetime(2026, 3, 2, 9, 0), 3600.0, 600.0
_ECHO_TIMES_S = tuple(0.0025 * n for n in range(1, 9))
_OWN_PER_S = 40.0
# There is no noise, but a fit must be told of some: a small part of the signal of 1000.
_NOISE_SD = 0.1


def contract_case(folder: Path, strength: float) -> ContractCase:
    """Writes a scan of a mouse whose tissue decays at 40 /s, and faster by ``strength`` × another rate in each organ; 0 has no label."""
    organs = mouse_labels(25.0, mouse_grid(25.0, 1.5))
    names = list(organs.names.values())
    rates = _OWN_PER_S + strength * 4.0 * (1.0 + np.arange(len(names)))
    per_label = np.concatenate([[0.0], rates])
    body = organs.labels > 0
    truth = MriTruth(organs.grid, body.astype(float), per_label[organs.labels], np.zeros(organs.grid.shape))
    image = scan(truth, Receiver(_ECHO_TIMES_S))
    write_classic(folder / "scan", image, ScanOptions(_INJECTED + timedelta(seconds=_START_S), _LENGTH_S))
    write_organs(folder / "organs.nii.gz", organs)
    row = Acquisition("m1", "d0", "mri", folder / "scan", "d0", label="spio", organs=folder / "organs.nii.gz")
    doses = (Dose("m1", _INJECTED, "spio", 1e6, "iv", amount=12.0, amount_unit="ug"),)
    label = Label("spio", "iron", dilutes=False, amount_per_cell=12e-6, amount_per_cell_unit="ug")
    constants = {"noise_sd": _NOISE_SD, "relaxivity_per_s_per_mmolar": 300.0, "relaxivity_sd_per_s_per_mmolar": 30.0}
    context = Context("contract", row, Subject("m1", "mouse", 25.0), doses, label, _INJECTED, constants, Organs(), Corrections())
    amounts = dict(zip(names, rates.tolist(), strict=True))
    # 16-bit numbers of a signal that has fallen to a tenth are right to some 1e-4, its rate to less than 1e-3.
    return ContractCase(context, folder / "organs.nii.gz", "1/s", amounts, quantity="r2star", rounding=2e-3)
