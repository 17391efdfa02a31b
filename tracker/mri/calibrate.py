"""An MR scan as read → R2* (1/s) in each voxel, with its standard error and what could not be told; or the signal of a 19F scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Quantity, Scan
from tracker.mri.header import MEASURED, SATURATED, STATUS_NAMES, VOID, Fit, MriHeader, Noise
from tracker.study.model import Context

# Field strengths [T] are rounded in headers: 9.39 and 9.4 are one scanner.
_SAME_FIELD = 0.02
# An echo is the one asked for within this share of its time.
_SAME_ECHO = 0.01


def calibrate(scan: Scan, context: Context) -> Quantity:
    """R2* (1, z, y, x) [1/s] of a multi-echo scan, NaN where there is no number, with its standard error; the scan is not changed.

    The estimator is ``mri.estimator`` (`relaxometry`, `complexfit`), the noise from air, repeats or residuals (`noise`).
    ``censored`` marks voxels above what could be told (R2*max), ``limit`` is R2*max; the map ``fit_status`` has the codes of `header`,
    ``s0`` the signal at echo time 0 [image unit]. The ``conversion`` makes iron of it (`iron`): that of tissue is included.
    A receiver gain cancels. A 19F scan gives its magnitudes as they are (kind ``fluorine_signal``): `measure` relates them to the tube.
    Raises `InputError`: ``label_not_iron``, ``field_differs``, ``phase_missing``, ``echo_not_there``, and those of `plausible`, `noise`.
    Does not say what of R2* is label: that is the background's part (`tracker.background`).
    """
    header: MriHeader = scan.header
    if header.nucleus == "19F":
        from tracker.mri.fluorine import fluorine_quantity

        return _on_our_clock(fluorine_quantity(scan, context), context)
    _check_label(context)
    field = _field(header, context)
    from tracker.mri.iron import conversion
    from tracker.mri.noise import estimate_noise
    from tracker.mri.plausible import check_magnitude

    values = np.asarray(scan.values, np.float32)
    findings = [*scan.findings, *check_magnitude(values, header)]
    noise, noted = estimate_noise(values, header, int(context.constants.get("coils", 1)), context.constants.get("noise_sd"))
    to_iron, noted_iron = conversion(context.constants)
    fit, noted_fit, how = _fit(values, scan, noise, context.constants)
    findings += [*noted, *noted_iron, *noted_fit, _status_finding(fit)]
    maps, facts = _maps(values, header, fit, context.constants)
    times_ms = [1000 * t for t in header.echo_times_s]
    quantity = Quantity(
        values=fit.r2star_per_s[None],
        unit="1/s",
        grid=scan.grid,
        times=scan.times,
        kind="relaxation_rate",
        sd_voxel=fit.sd_per_s[None],
        method=f"R2* at {field} by {how}>TE {times_ms[0]:.4g} to {times_ms[-1]:.4g} ms x{len(times_ms)}>noise from {noise.source}",
        findings=tuple(findings),
        conversion=to_iron,
        censored=np.isin(fit.status, (VOID, SATURATED))[None],
        limit=fit.limit_per_s[None],
        maps=maps,
        facts={**facts, "noise_sigma": noise.sigma},
    )
    return _on_our_clock(quantity, context)


def _check_label(context: Context) -> None:
    if context.label.kind != "iron":
        raise InputError(
            "label_not_iron",
            "R2* shows an iron label",
            found=f"label {context.label.label} of kind {context.label.kind}",
            expected="iron (or a 19F scan)",
            do="name the iron label in the acquisitions sheet; state ImagedNucleus where a 19F scan's file lacks it",
        )


def _field(header: MriHeader, context: Context) -> str:
    """The field as it stands in the method, so that scans of two fields are told apart."""
    stated = context.constants.get("field_t")
    if header.field_t is not None and stated is not None and abs(header.field_t / stated - 1) > _SAME_FIELD:
        do = "correct mri.field_t, or leave it out: the file says it"
        raise InputError(
            "field_differs", "file and config name different fields", found=f"{header.field_t:g} T", expected=f"{stated:g} T", do=do
        )
    field_t = header.field_t if stated is None else stated
    return "unknown field" if field_t is None else f"{field_t:.3g} T"


def _averaged(values: np.ndarray, n_repeats: int) -> np.ndarray:
    """Root mean square over repeats (echo, z, y, x): its square keeps the noise floor of one image, E = S² + 2Nσ²."""
    if n_repeats == 1:
        return values
    repeats = values.reshape(n_repeats, -1, *values.shape[1:])
    mean_square = np.mean(repeats.astype(np.float64) ** 2, axis=0)
    return np.asarray(np.sqrt(mean_square), np.float32)


def _phase(header: MriHeader, why: str) -> tuple[np.ndarray, tuple[Finding, ...]]:
    if header.phase_rad is None:
        what, expected = f"{why} needs phase images", "phase of every echo"
        raise InputError("phase_missing", what, found="magnitudes alone", expected=expected, do=f"change {why}")
    from tracker.mri.plausible import check_phase

    # Of repeats the first: phases do not average across a wrap.
    phase_rad = np.asarray(header.phase_rad[: len(header.echo_times_s)], np.float32)
    return phase_rad, check_phase(phase_rad)


def _fit(values: np.ndarray, scan: Scan, noise: Noise, constants: Any) -> tuple[Fit, tuple[Finding, ...], str]:
    """The maps of the estimator that the config names, what was noted, and its name for the method."""
    from tracker.mri.complexfit import fit_complex
    from tracker.mri.dephasing import background_dephasing
    from tracker.mri.relaxometry import fit

    header: MriHeader = scan.header
    estimator, times_s = constants.get("estimator", "second_moment"), header.echo_times_s
    if estimator == "complex":
        phase_rad, noted = _phase(header, "mri.estimator: complex")
        turned: list[Finding] = []

        def by_phase(s0_reference: np.ndarray | None) -> Fit:
            found, more = fit_complex(values[: len(times_s)], phase_rad, times_s, noise, s0_reference)
            turned[:] = more
            return found

        return _twice(by_phase), (*noted, *turned), "complex fit"
    magnitude, how, noted, dephasing = _averaged(values, header.n_repeats), estimator, (), None
    if constants.get("b0_correction", "none") == "polynomial":
        phase_rad, noted = _phase(header, "mri.b0_correction: polynomial")
        dephasing = background_dephasing(phase_rad, magnitude, header, scan.grid)
        how = f"{estimator} with background gradient"

    def by_magnitude(s0_reference: np.ndarray | None) -> Fit:
        n = header.n_repeats
        return fit(estimator, magnitude, times_s, noise, s0_reference=s0_reference, n_averaged=n, dephasing=dephasing)

    return _twice(by_magnitude), noted, how


def _twice(fit: Callable[[np.ndarray | None], Fit]) -> Fit:
    """The fit that knows what S0 is like around each voxel, which a first fit has to find out.

    What a voxel could have shown is told by its own S0 alone: lung beside muscle has a quarter of its water, and a limit from
    muscle's would be no bound.
    """
    alone = fit(None)
    found = fit(surroundings(alone.s0))
    return replace(found, limit_per_s=np.where(found.status == MEASURED, alone.limit_per_s, np.float32(np.nan)))


def surroundings(s0: np.ndarray, reach: int = 5) -> np.ndarray:
    """Mean of the finite S0 in a cube of ±``reach`` voxels around each voxel (z, y, x), NaN where there is none.

    What a voxel's signal at echo time 0 may plausibly be: a rate far above R2*max leaves one echo above the noise by chance, and
    its own S0 then comes out many times too small.
    """
    from scipy.ndimage import uniform_filter

    known = np.isfinite(s0)
    total = uniform_filter(np.where(known, s0, 0.0), 2 * reach + 1, mode="constant")
    share = uniform_filter(known.astype(np.float32), 2 * reach + 1, mode="constant")
    # Less than one voxel in the cube is rounding.
    there = share > 0.5 / (2 * reach + 1) ** 3
    return np.where(there, total / np.where(there, share, 1.0), np.nan).astype(np.float32)


def _status_finding(fit: Fit) -> Finding:
    count = {name: int((fit.status == code).sum()) for code, name in STATUS_NAMES.items()}
    return Finding("fit_status", "ok", ", ".join(f"{n} voxels {name}" for name, n in count.items() if n))


def _maps(values: np.ndarray, header: MriHeader, fit: Fit, constants: Any) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Maps and facts kept with the quantity; the magnitude of the echo that focal deposits are looked for in, where that is asked for."""
    maps: dict[str, np.ndarray] = {"fit_status": fit.status, "s0": fit.s0}
    facts = {} if header.field_t is None else {"field_t": header.field_t}
    focal = constants.get("focal")
    if focal:
        wanted_ms, times_ms = float(focal["echo_time_ms"]), [1000 * t for t in header.echo_times_s]
        nearest = min(range(len(times_ms)), key=lambda e: abs(times_ms[e] - wanted_ms))
        if abs(times_ms[nearest] / wanted_ms - 1) > _SAME_ECHO:
            listed = ", ".join(f"{t:.4g}" for t in times_ms)
            raise InputError("echo_not_there", "no echo at mri.focal.echo_time_ms", found=f"{listed} ms", expected=f"{wanted_ms:g} ms")
        maps["focal_magnitude"] = _averaged(values, header.n_repeats)[nearest : nearest + 1]
        facts["focal_echo_time_ms"] = times_ms[nearest]
    return maps, facts


def _on_our_clock(quantity: Quantity, context: Context) -> Quantity:
    times = quantity.times
    offset = timedelta(seconds=float(context.constants.get("clock_offset_s", 0.0)))
    return replace(quantity, times=replace(times, origin=times.origin + offset))
