"""A real three-echo scan, echo times given in the sheet: R2* everywhere in the brain, and nothing that is no rate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from tracker.image import Quantity
from tracker.mri.calibrate import calibrate
from tracker.mri.header import MEASURED, NOT_DECAYING, SATURATED, STATUS_NAMES, VOID
from tracker.mri.read import read
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Label, Subject

pytestmark = pytest.mark.shared


def _context(path: Path, **constants: object) -> Context:
    scan = Acquisition("p1", "s1", "mri", path, "s1", label="spio", acquired=datetime(2020, 1, 1, 12), echo_times_ms=(4.0, 8.0, 12.0))
    label, subject = Label("spio", "iron"), Subject("p1", "human", 70_000.0)
    return Context("real", scan, subject, (), label, None, constants, Organs(), Corrections())


@pytest.fixture(scope="module")
def megre(shared_data: Path) -> Quantity:
    context = _context(shared_data / "mri_megre" / "Mag.nii")
    return calibrate(read(context.acquisition.path, "", context), context)


def test_every_brain_like_voxel_has_a_rate(megre: Quantity, shared_data: Path) -> None:
    import nibabel as nib

    values = np.asarray(nib.load(shared_data / "mri_megre" / "Mag.nii").dataobj).T
    rate, status = megre.values[0], megre.maps["fit_status"]
    assert rate.shape == (41, 51, 51)
    assert (np.isfinite(rate) == (status == MEASURED)).all()
    # Tissue of 15 to 45 per second loses 11 to 30 % from 4 to 12 ms; fluid, of hardly any, rises in half of its voxels by noise alone.
    falls = values[2] < 0.97 * values[0]
    assert falls.mean() > 0.9
    assert (status[falls] == MEASURED).mean() > 0.9999
    # One voxel of 106 641 lies in a vessel whose last echoes are in the noise.
    assert np.isin(status, (VOID, SATURATED)).sum() <= 1
    assert set(np.unique(status)) <= {MEASURED, SATURATED, NOT_DECAYING} <= set(STATUS_NAMES)


def test_no_rate_is_negative_or_infinite_and_each_has_its_error(megre: Quantity) -> None:
    rate, error = megre.values[0], megre.sd_voxel[0]
    numbers = np.isfinite(rate)
    assert (rate[numbers] > 0).all() and (error[numbers] > 0).all() and np.isfinite(error[numbers]).all()
    assert not np.isinf(rate).any()
    # Grey and white matter at 3 or 7 T have 15 to 45 per second (Cohen-Adad 2014, doi:10.1016/j.neuroimage.2014.05.001).
    assert 15 < np.median(rate[numbers]) < 45
    assert (megre.maps["fit_status"][~numbers] >= NOT_DECAYING).mean() > 0.5


def test_the_rate_is_that_of_an_independent_fit(megre: Quantity, shared_data: Path) -> None:
    import nibabel as nib
    from scipy.optimize import curve_fit

    values = np.asarray(nib.load(shared_data / "mri_megre" / "Mag.nii").dataobj, np.float64)
    times, random = np.array([0.004, 0.008, 0.012]), np.random.default_rng(1)
    for x, y, z in random.integers(0, (51, 51, 41), (40, 3)):
        mine = megre.values[0, z, y, x]
        if np.isfinite(mine):
            found, _ = curve_fit(lambda t, a, r: a * np.exp(-r * t), times, values[x, y, z], p0=(values[x, y, z, 0], 30.0))
            # Weights of a noise floor against none: at this signal they differ by a fraction of the voxel's own error.
            assert abs(mine - found[1]) < 0.5 * megre.sd_voxel[0, z, y, x]


def test_the_noise_is_said_to_come_from_residuals(megre: Quantity) -> None:
    assert "noise_from_residuals" in [f.check for f in megre.findings if f.status == "warn"]
    assert "noise from residuals" in megre.method


def test_without_echo_times_it_asks(shared_data: Path) -> None:
    from dataclasses import replace

    from tracker.errors import InputError

    context = _context(shared_data / "mri_megre" / "Mag.nii")
    context = replace(context, acquisition=replace(context.acquisition, echo_times_ms=()))
    with pytest.raises(InputError, match="echo_times_ms"):
        read(context.acquisition.path, "", context)


def test_the_complex_fit_agrees_with_the_magnitudes(shared_data: Path, megre: Quantity) -> None:
    context = _context(shared_data / "mri_megre" / "Mag.nii", estimator="complex")
    by_phase = calibrate(read(context.acquisition.path, "", context), context)
    both = np.isfinite(by_phase.values[0]) & np.isfinite(megre.values[0])
    assert both.mean() > 0.9
    # The phase of vessels and edges does not turn evenly, so that single voxels differ; the middle one does not.
    assert np.median(by_phase.values[0][both] / megre.values[0][both]) == pytest.approx(1, abs=0.03)
