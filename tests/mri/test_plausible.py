"""Magnitudes pass whatever they show; phases, copies, empty and reversed images do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import InputError
from tracker.mri.header import MriHeader
from tracker.mri.plausible import check_magnitude, check_phase

SHAPE = (8, 32, 32)
TE_S = (0.003, 0.006, 0.009, 0.012, 0.015)
SHORT_S = (0.0005, 0.001625, 0.00275, 0.003875, 0.005)


def header(te_s: tuple[float, ...] = TE_S, repeats: int = 1) -> MriHeader:
    return MriHeader(te_s, repeats, None, "1H", 9.4, "classic")


def scan(seed: int, te_s: tuple[float, ...], rate_per_s: float, fill: float, snr: float, repeats: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Magnitude and wrapped phase (repeat × echo, z, y, x) of a body in a field that varies over it, with complex noise, SNR at TE 0."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    body = (x**2 + y**2 < fill * 4 / math.pi) * (1 + 0.3 * np.sin(3 * x) * np.cos(2 * y + z))
    field_hz = 80 * x**2 - 60 * y * z + 40 * y
    t = np.asarray(te_s * repeats)[:, None, None, None]
    signal = snr * body * np.exp((2j * np.pi * field_hz - rate_per_s) * t + 1j * (0.5 + x))
    noisy = signal + rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape)
    return np.abs(noisy), np.angle(noisy)


SCANS = {
    "seed": st.integers(0, 1000),
    "te_s": st.sampled_from([TE_S, SHORT_S, TE_S[:2]]),
    "rate_per_s": st.sampled_from([1.0, 5.0, 40.0, 300.0]),
    "fill": st.sampled_from([0.01, 0.1, 0.5, 2.0]),
    "snr": st.sampled_from([10.0, 30.0, 300.0]),
}


@settings(max_examples=120)
@given(**SCANS, repeats=st.integers(1, 2), scale=st.sampled_from([1e-5, 1.0, 1e4]))
def test_magnitudes_pass(
    seed: int, te_s: tuple[float, ...], rate_per_s: float, fill: float, snr: float, repeats: int, scale: float
) -> None:
    magnitude, _ = scan(seed, te_s, rate_per_s, fill, snr, repeats)
    assert "magnitude" in {finding.check for finding in check_magnitude(magnitude * scale, header(te_s, repeats))}


@settings(max_examples=60)
@given(seed=SCANS["seed"], te_s=SCANS["te_s"], rate_per_s=SCANS["rate_per_s"], fill=SCANS["fill"], snr=SCANS["snr"], offset=st.booleans())
def test_phase_called_magnitude_does_not(
    seed: int, te_s: tuple[float, ...], rate_per_s: float, fill: float, snr: float, offset: bool
) -> None:
    _, phase = scan(seed, te_s, rate_per_s, fill, snr)
    # Some makers store phase as 0 to 4095.
    stored = np.round((phase + math.pi) / (2 * math.pi) * 4095) if offset else phase
    with pytest.raises(InputError, match=r"phase_as_magnitude|not_decaying"):
        check_magnitude(stored, header(te_s))


@settings(max_examples=40)
@given(seed=SCANS["seed"], fill=st.sampled_from([0.05, 0.5, 2.0]), snr=st.sampled_from([15.0, 100.0]))
def test_reversed_echoes_do_not(seed: int, fill: float, snr: float) -> None:
    magnitude, _ = scan(seed, TE_S, 40.0, fill, snr)
    with pytest.raises(InputError, match="not_decaying"):
        check_magnitude(magnitude[::-1], header())


def test_slow_decay_over_a_short_train_at_low_signal() -> None:
    # 2 % over the train, less than the noise of a voxel.
    for seed in range(30):
        magnitude, _ = scan(seed, SHORT_S, 5.0, 0.5, 10.0)
        assert check_magnitude(magnitude, header(SHORT_S))[0].status == "ok"


def test_swapped_neighbours_are_noted() -> None:
    magnitude, _ = scan(1, TE_S, 60.0, 0.5, 50.0)
    findings = check_magnitude(magnitude[[0, 2, 1, 3, 4]], header())
    assert [f.check for f in findings if f.status == "warn"] == ["decay_not_monotone"]
    assert "9 ms" in findings[0].reason


def test_only_noise_is_no_error_here() -> None:
    magnitude, _ = scan(2, TE_S, 60.0, 0.5, 0.0)
    assert check_magnitude(magnitude, header())[0].status == "ok"


def test_ramp_that_fills_its_range_is_still_a_magnitude() -> None:
    ramp = np.linspace(0, 1000, 8192).reshape(SHAPE)
    assert check_magnitude(np.stack([ramp * math.exp(-5 * t) for t in SHORT_S]), header(SHORT_S))[0].status == "ok"


def test_real_parts_are_no_magnitudes() -> None:
    magnitude, phase = scan(3, TE_S, 60.0, 0.5, 50.0)
    with pytest.raises(InputError, match="phase_as_magnitude"):
        check_magnitude(magnitude * np.cos(phase), header())


def test_small_undershoot_is_noted_only() -> None:
    magnitude, _ = scan(4, TE_S, 60.0, 0.5, 50.0)
    checks = {f.check: f.status for f in check_magnitude(magnitude - 2.0, header())}
    assert checks == {"magnitude_negative": "warn", "magnitude": "ok"}


@pytest.mark.parametrize(
    ("make", "code"), [(np.zeros_like, "empty_image"), (lambda a: np.full_like(a, np.nan), "empty_image"), (np.ones_like, "constant_image")]
)
def test_images_that_hold_nothing(make: object, code: str) -> None:
    magnitude, _ = scan(5, TE_S, 60.0, 0.5, 50.0)
    magnitude[2] = make(magnitude[2])  # type: ignore[operator]
    with pytest.raises(InputError, match=code) as caught:
        check_magnitude(magnitude, header())
    assert "image 3 of 5" in str(caught.value)


@pytest.mark.parametrize("pair", [(0, 1), (1, 4)])
def test_one_image_stored_twice(pair: tuple[int, int]) -> None:
    magnitude, _ = scan(6, TE_S, 60.0, 0.5, 50.0)
    magnitude[pair[1]] = magnitude[pair[0]]
    with pytest.raises(InputError, match="identical_images") as caught:
        check_magnitude(magnitude, header())
    assert f"images {pair[0] + 1} and {pair[1] + 1}" in str(caught.value)


def test_one_echo_and_masked_background() -> None:
    magnitude, _ = scan(7, TE_S, 60.0, 0.5, 50.0)
    assert check_magnitude(magnitude[:1], header(TE_S[:1]))[0].status == "ok"
    assert check_magnitude(magnitude * (magnitude[0] > 10), header())[0].status == "ok"
    magnitude[:, 2, 3] = np.nan
    assert check_magnitude(magnitude, header())[0].status == "ok"


def test_phase_in_radians() -> None:
    _, phase = scan(8, TE_S, 60.0, 0.5, 50.0)
    assert check_phase(phase)[0].status == "ok"
    steps = np.round(phase / math.pi * 2048) / 2048 * math.pi
    assert check_phase(steps)[0].status == "ok"
    assert check_phase(phase / 10)[0].check == "phase_span"


@pytest.mark.parametrize("factor", [180 / math.pi, 4096 / math.pi, 1.5])
def test_phase_in_other_units(factor: float) -> None:
    _, phase = scan(9, TE_S, 60.0, 0.5, 50.0)
    with pytest.raises(InputError, match="phase_range"):
        check_phase(phase * factor)


def test_phase_that_holds_nothing() -> None:
    with pytest.raises(InputError, match="empty_image"):
        check_phase(np.zeros((2, *SHAPE)))
    with pytest.raises(InputError, match="constant_image"):
        check_phase(np.full((2, *SHAPE), 1.0))
    with pytest.raises(InputError, match="empty_image"):
        check_phase(np.full((2, *SHAPE), np.nan))


def test_real_brain(shared_data: object) -> None:
    from pathlib import Path

    import nibabel

    folder = Path(str(shared_data)) / "mri_megre"
    magnitude, phase = (np.asarray(nibabel.load(folder / name).dataobj).T for name in ("Mag.nii", "Phase.nii"))  # type: ignore[attr-defined]
    head = header((0.004, 0.008, 0.012))
    assert check_magnitude(magnitude, head)[0].status == "ok"
    with pytest.raises(InputError, match="not_decaying"):
        check_magnitude(magnitude[::-1], head)
    with pytest.raises(InputError, match="phase_as_magnitude"):
        check_magnitude(phase, head)
