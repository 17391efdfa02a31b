"""Noise: the known sigma of phantoms comes back from air, repeats and residuals; what is no air is told from air."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from tracker.errors import Finding, InputError
from tracker.mri.air import find_air, moments, slabs
from tracker.mri.header import MriHeader, Noise
from tracker.mri.noise import estimate_noise

TE_S = tuple(0.003 * k for k in range(1, 9))


def header(te_s: tuple[float, ...] = TE_S, repeats: int = 1) -> MriHeader:
    return MriHeader(te_s, repeats, None, "1H", 9.4, "classic")


def tissue(rng: np.random.Generator, shape: tuple[int, int, int], fill: float, te_s: tuple[float, ...]) -> np.ndarray:
    """A body that covers the share ``fill`` of each slice, textured, R2* 20 to 80 /s, with a lung at 6 % and four times the rate."""
    _, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    a, b = np.sqrt(fill * 4 / np.pi), np.sqrt(fill * 4 / np.pi)
    body = (x / a) ** 2 + (y / b) ** 2 < 1
    lung = (x / a - 0.3) ** 2 + (y / b) ** 2 < 0.04
    texture = gaussian_filter(rng.normal(size=shape), 2)
    bright = body * np.exp(0.2 * texture / texture.std()) * np.where(lung, 0.06, 1.0)
    rate = (50 + 30 * np.tanh(20 * gaussian_filter(rng.normal(size=shape), 3))) * np.where(lung, 4.0, 1.0)
    return np.stack([bright * np.exp(-rate * t) for t in te_s])


def scan(
    seed: int,
    *,
    sigma: float = 1.0,
    snr: float = 50.0,
    coils: int = 1,
    fill: float = 0.5,
    shape: tuple[int, int, int] = (12, 64, 64),
    te_s: tuple[float, ...] = TE_S,
    ghost: float = 0.0,
    repeats: int = 1,
) -> np.ndarray:
    """Magnitudes (repeat × echo, z, y, x) of a body with complex noise of ``sigma`` in each of ``coils`` channels, and a ghost."""
    rng = np.random.default_rng(seed)
    signal = tissue(rng, shape, fill, te_s) * snr * sigma
    signal = signal + ghost * np.roll(signal, shape[1] // 2, axis=2)
    square = np.zeros((repeats, *signal.shape))
    for _ in range(coils):
        noise = rng.normal(size=square.shape) + 1j * rng.normal(size=square.shape)
        square += np.abs(signal / math.sqrt(coils) + sigma * noise) ** 2
    return np.sqrt(square).reshape(-1, *shape).astype(np.float32)


def warned(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.check for finding in findings if finding.status == "warn"]


@pytest.mark.parametrize("coils", [1, 2, 4, 8, 16])
def test_moments_are_those_of_the_chi_distribution(coils: int) -> None:
    m, chi = moments(coils), stats.chi(2 * coils)
    assert [m.first, m.second, m.third, m.fourth] == pytest.approx([chi.moment(k) for k in range(1, 5)], rel=1e-10)
    assert m.ratio == pytest.approx(chi.std() / chi.mean(), rel=1e-10)


def test_the_printed_ratio_of_one_channel() -> None:
    assert round(moments(1).first, 4) == 1.2533
    assert round(moments(1).ratio, 4) == 0.5227


@pytest.mark.parametrize("sigma", [1e-4, 0.37, 12.0, 4000.0])
@pytest.mark.parametrize("coils", [1, 4, 8])
def test_clean_air_gives_sigma_within_one_percent(sigma: float, coils: int) -> None:
    noise, findings = estimate_noise(scan(coils, sigma=sigma, coils=coils), header(), coils, None)
    assert noise.source == "background" and noise.coils == coils
    # The aim. 5000 voxels × 8 echoes tell sigma to 0.25 % by themselves.
    assert noise.sigma == pytest.approx(sigma, rel=0.01)
    assert np.array(noise.per_echo) == pytest.approx(sigma, rel=0.03)
    assert warned(findings) == []


def test_air_is_not_biased_by_what_is_chosen() -> None:
    # The mean over 20 scans is known to 0.06 %: choosing the darkest blocks would show as several percent.
    sigmas = [find_air(scan(seed, shape=(8, 48, 48), te_s=TE_S[:4]), 4, 1).sigma for seed in range(20)]
    assert np.mean(sigmas) == pytest.approx(1.0, abs=0.004)


@pytest.mark.parametrize("fill", [0.2, 0.5, 0.75])
@pytest.mark.parametrize("snr", [10.0, 50.0, 1000.0])
def test_any_body_size_and_brightness(fill: float, snr: float) -> None:
    noise, _ = estimate_noise(scan(3, fill=fill, snr=snr), header(), 1, None)
    assert noise.source == "background"
    assert noise.sigma == pytest.approx(1.0, rel=0.015)


@pytest.mark.parametrize("ghost", [0.01, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_ghosts_and_lungs_never_cost_ten_percent(ghost: float, seed: int) -> None:
    noise, _ = estimate_noise(scan(seed, ghost=ghost, fill=0.7), header(), 1, None)
    assert noise.sigma == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("shape", [(8, 32, 32), (1, 96, 96), (3, 40, 50)])
def test_small_volumes(shape: tuple[int, int, int]) -> None:
    assert estimate_noise(scan(5, shape=shape), header(), 1, None)[0].sigma == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("echoes", [1, 2, 3])
def test_few_echoes(echoes: int) -> None:
    te_s = TE_S[:echoes]
    assert estimate_noise(scan(6, te_s=te_s), header(te_s), 1, None)[0].sigma == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 10.0, 100.0])
def test_values_stored_as_integers(sigma: float) -> None:
    stored = np.round(scan(7, sigma=sigma)).astype(np.uint16)
    noise, _ = estimate_noise(stored, header(), 1, None)
    assert noise.source == "background"
    assert noise.sigma == pytest.approx(sigma, rel=0.015)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("store", [np.round, np.floor])
def test_coarse_or_cut_off_integers_are_right_or_said_to_be_no_noise(sigma: float, store: np.ufunc) -> None:
    noise, findings = estimate_noise(store(scan(8, sigma=sigma)).astype(np.uint16), header(), 1, None)
    # Storing adds 1/12 to the variance of what the tissue shows.
    shown = math.sqrt(sigma**2 + 1 / 12)
    assert (noise.source == "background" and abs(noise.sigma / sigma - 1) < 0.1) or "noise_background_not_rayleigh" in warned(findings)
    assert noise.sigma == pytest.approx(shown, rel=0.1)


def test_interpolated_images_keep_their_sigma() -> None:
    # Zero-filling to twice the matrix: neighbours are no longer independent, the level of a voxel's noise is still sigma.
    rng = np.random.default_rng(9)
    spectrum = np.zeros((8, 12, 64, 64), complex)
    spectrum[:, :, 16:48, 16:48] = rng.normal(size=(8, 12, 32, 32)) + 1j * rng.normal(size=(8, 12, 32, 32))
    noise = np.fft.ifft2(spectrum, norm="ortho") * 2
    values = np.abs(tissue(rng, (12, 64, 64), 0.5, TE_S) * 50 + noise)
    assert estimate_noise(values, header(), 1, None)[0].sigma == pytest.approx(1.0, rel=0.015)


@pytest.mark.parametrize("coils", [2, 4, 8])
def test_a_wrong_number_of_channels_is_noticed(coils: int) -> None:
    noise, findings = estimate_noise(scan(10, coils=coils), header(), 1, None)
    assert noise.source == "residuals"
    assert {"noise_background_not_rayleigh", "noise_from_residuals"} <= set(warned(findings))
    assert noise.sigma == pytest.approx(1.0, rel=0.05)  # MAD of 8000 voxels: 1 %; the rest is curvature


@pytest.mark.parametrize("snr", [10.0, 30.0, 100.0])
@pytest.mark.parametrize("echoes", [3, 4, 8])
def test_masked_background_falls_through_to_residuals(snr: float, echoes: int) -> None:
    te_s = TE_S[:echoes]
    values = scan(11, snr=snr, te_s=te_s)
    body = tissue(np.random.default_rng(11), values.shape[1:], 0.5, te_s)[0] > 0.1
    noise, findings = estimate_noise(values * body, header(te_s), 1, None)
    assert noise.source == "residuals" and "noise_from_residuals" in warned(findings)
    assert noise.sigma == pytest.approx(1.0, rel=0.06)


def test_smoothed_air_is_not_believed() -> None:
    smooth = np.stack([gaussian_filter(image, 0.6) for image in scan(12)])
    noise, findings = estimate_noise(smooth, header(), 1, None)
    assert noise.source == "residuals" and "noise_background_not_rayleigh" in warned(findings)


def test_no_air_at_all() -> None:
    values = scan(13, fill=2.0)
    noise, findings = estimate_noise(values, header(), 1, None)
    assert "noise_background_not_rayleigh" in warned(findings)
    assert noise.sigma == pytest.approx(1.0, rel=0.05)


def test_dimmed_air_contradicts_the_tissue() -> None:
    values = scan(14, te_s=TE_S)
    body = tissue(np.random.default_rng(14), values.shape[1:], 0.5, TE_S)[0] > 0
    _, findings = estimate_noise(np.where(body, values, 0.3 * values), header(), 1, None)
    assert "noise_sources_differ" in warned(findings)


@pytest.mark.parametrize("coils", [1, 4])
def test_repeats_come_before_residuals(coils: int) -> None:
    values = scan(15, repeats=3, te_s=TE_S[:2], coils=coils, snr=60.0)
    body = tissue(np.random.default_rng(15), values.shape[1:], 0.5, TE_S[:2])[0] > 0.1
    drift = np.repeat([1.0, 1.3, 0.9], 2)[:, None, None, None]
    noise, findings = estimate_noise(values * body, header(TE_S[:2], 3), coils, None)
    assert noise.source == "repeats" and warned(findings) == ["noise_background_not_rayleigh"]
    assert noise.sigma == pytest.approx(1.0, rel=0.03)
    changed, _ = estimate_noise(values * body * drift, header(TE_S[:2], 3), coils, None)
    assert changed.sigma == pytest.approx(np.sqrt(np.mean(drift**2)), rel=0.06)  # a change of gain is no noise


def test_scales_that_differ_between_echoes() -> None:
    values = scan(16)
    scale = np.array([1, 1, 1, 1.3, 1.3, 1.7, 1.7, 2.5])[:, None, None, None]
    with pytest.raises(InputError, match="echo_scaling"):
        estimate_noise(values * scale, header(), 1, None)
    with pytest.raises(InputError, match="echo_scaling"):
        estimate_noise(values / scale, header(), 1, None)
    assert estimate_noise(values * 2.5, header(), 1, None)[0].sigma == pytest.approx(2.5, rel=0.01)


def test_two_echoes_and_no_air_is_no_noise() -> None:
    values = scan(17, te_s=TE_S[:2])
    with pytest.raises(InputError, match="noise_unknown"):
        estimate_noise(values * (values > 10), header(TE_S[:2]), 1, None)
    with pytest.raises(InputError, match="noise_unknown"):
        estimate_noise(np.zeros((2, 8, 32, 32)), header(TE_S[:2]), 1, None)


def test_what_the_user_states_is_taken() -> None:
    values = scan(18)
    assert estimate_noise(values, header(), 4, 0.7) == (Noise(0.7, 4, "config"), ())
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="noise_sd_invalid"):
            estimate_noise(values, header(), 1, wrong)
    with pytest.raises(InputError, match="coils_invalid"):
        estimate_noise(values, header(), 0, None)


def test_sigma_scales_with_the_image_and_the_input_is_untouched() -> None:
    values = scan(19)
    before = values.copy()
    one, ten = (estimate_noise(values * k, header(), 1, None)[0].sigma for k in (1, 10))
    assert ten == pytest.approx(10 * one, rel=1e-5)
    assert np.array_equal(values, before)


def test_non_finite_voxels_are_left_out() -> None:
    values = scan(20)
    values[2, 3, :5, :5] = np.nan
    values[:, 4, 6, 7] = np.inf
    assert estimate_noise(values, header(), 1, None)[0].sigma == pytest.approx(1.0, rel=0.01)


def test_large_volumes_are_sampled() -> None:
    plane = scan(21, shape=(1, 512, 512))
    whole = np.broadcast_to(plane, (8, 200, 512, 512))
    assert slabs(whole).size < 0.05 * whole.size
    start = time.process_time()
    assert estimate_noise(whole, header(), 1, None)[0].sigma == pytest.approx(1.0, rel=0.01)
    # 0.5 s on one core of a laptop; the limit is that of a machine with much else to do.
    assert time.process_time() - start < 5


def test_real_brain_without_background(shared_data: object) -> None:
    from pathlib import Path

    import nibabel

    volume = np.asarray(nibabel.load(Path(str(shared_data)) / "mri_megre" / "Mag.nii").dataobj).T  # type: ignore[attr-defined]
    noise, findings = estimate_noise(volume, header((0.004, 0.008, 0.012)), 1, None)
    assert noise.source == "residuals" and len(warned(findings)) == 2
    assert 0.01 < noise.sigma / np.median(volume[0]) < 0.1  # a 7 T brain at 2 to 3 mm: SNR 10 to 100


@pytest.mark.parametrize("seed", range(6))
def test_an_even_ghost_over_all_of_the_air_is_not_taken_for_noise(seed: int) -> None:
    # Signal of 1.6 sigma that falls slowly: its distribution is close to noise, its fall with echo time is what tells.
    rng = np.random.default_rng(seed)
    decay = np.exp(-15 * np.asarray(TE_S))[:, None, None, None]
    body = np.zeros((1, 8, 32, 32))
    body[..., 6:26, 6:26] = 20
    values = np.abs((body + 1.6 * (body == 0)) * decay + rng.normal(size=(8, 8, 32, 32)) + 1j * rng.normal(size=(8, 8, 32, 32)))
    noise, findings = estimate_noise(values, header(), 1, None)
    assert noise.source == "residuals" and "noise_background_not_rayleigh" in warned(findings)
    assert noise.sigma == pytest.approx(1.0, rel=0.05)
