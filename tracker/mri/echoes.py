"""Echo times: which images are of which echo, whether the times can be true, and whether header and sheet agree. Never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import InputError

# Gradient echoes of any scanner lie between an ultrashort 10 us and half a second.
_PLAUSIBLE_S = (0.01e-3, 0.5)
# Times are written with 1 us or 5 digits: what differs by less is one echo, what a sheet rounds is the same.
_SAME_S, _SAME_SHARE = 1e-6, 1e-4
_SHEET_S, _SHEET_SHARE = 0.01e-3, 0.01
# A decay rate needs two echoes above the noise and one to see that it is a decay.
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Echoes:
    """Echo times (echo,) rising [s], and the echo of each image (n,)."""

    times_s: tuple[float, ...]
    of: np.ndarray


def check_times(times_s: Sequence[float], where: object) -> None:
    """Raises `InputError` where an echo time cannot be one: outside 0.01 to 500 ms, as where s and ms were mixed up; or not rising."""
    wrong = [t for t in times_s if not _PLAUSIBLE_S[0] <= t <= _PLAUSIBLE_S[1]]
    if wrong:
        raise InputError(
            "echo_time_implausible",
            "an echo time cannot be that of a gradient echo: perhaps s and ms were mixed up",
            found=f"{wrong[0] * 1000:g} ms",
            expected="0.01 to 500 ms",
            where=where,
            do="correct the header or sidecar (DICOM and the sheet: ms; BIDS: s)",
        )
    if (np.diff(times_s) <= 0).any():
        found = ", ".join(f"{t * 1000:g}" for t in times_s)
        raise InputError("echo_order", "echo times do not rise from echo to echo", found=f"{found} ms", expected="rising", where=where)


def check_count(count: int, nucleus: str, where: object) -> None:
    """Raises `InputError` where a proton scan has fewer than three echoes; one image is enough of 19F, which is measured by its amount."""
    if count < FEWEST and nucleus in ("", "1H"):
        raise InputError(
            "echoes_too_few",
            "R2* needs a series of gradient echoes: two to see a decay and one more to see that it is one",
            found=f"{count} echo(es)",
            expected=f"at least {FEWEST}",
            where=where,
            do="name the multi-echo series in the sheet's `series` column; an anatomy scan has role anatomy",
        )


def agreed(stated_s: tuple[float, ...], sheet_ms: tuple[float, ...], where: object) -> tuple[float, ...]:
    """The files' echo times, or the sheet's where they have none; raises `InputError` where neither has, or they differ.

    >>> agreed((0.004, 0.008), (4.0, 8.0), ""), agreed((), (4.0, 8.0), "")
    ((0.004, 0.008), (0.004, 0.008))
    """
    sheet_s = tuple(t / 1000.0 for t in sheet_ms)
    if not stated_s and not sheet_s:
        raise InputError(
            "echo_time_missing",
            "nothing says at which echo times the images were taken",
            found="no echo time in the files or the sheet",
            expected="one per echo",
            where=where,
            do="write them into the sheet's `echo_times_ms` column",
        )
    if stated_s and sheet_s:
        apart = len(stated_s) != len(sheet_s) or any(
            abs(a - b) > max(_SHEET_S, _SHEET_SHARE * a) for a, b in zip(stated_s, sheet_s, strict=True)
        )
        if apart:
            listed = (", ".join(f"{t * 1000:g}" for t in times) for times in (stated_s, sheet_s))
            raise InputError(
                "echo_times_disagree",
                "the files' echo times and the sheet's differ",
                found="files {} ms, sheet {} ms".format(*listed),
                expected="the same, or none in the sheet",
                where=where,
                do="correct whichever is wrong",
            )
    return stated_s or sheet_s


def group(times_s: Sequence[float | None], numbers: Sequence[int | None], where: object) -> Echoes | None:
    """The echo of every image by its own echo time; None where no image states one.

    Raises `InputError` where only some state one, where an echo number has two times, and where a number between two is missing.
    """
    if all(t is None for t in times_s):
        return None
    if any(t is None for t in times_s):
        raise InputError(
            "echo_time_missing",
            "some images state no echo time",
            found=f"{sum(t is None for t in times_s)} of {len(times_s)} without",
            expected="one in every image",
            where=where,
            do="export the series again",
        )
    values = np.array(times_s, float)
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order])
    opens = np.concatenate([[False], steps > _SAME_S + _SAME_SHARE * values[order][1:]])
    of = np.empty(len(values), int)
    of[order] = np.cumsum(opens)
    _check_numbers(of, values, numbers, where)
    return Echoes(tuple(float(np.median(values[of == e])) for e in range(of.max() + 1)), of)


def _check_numbers(of: np.ndarray, values: np.ndarray, numbers: Sequence[int | None], where: object) -> None:
    """Echo numbers and echo times must name the same echoes, where the writer numbers echoes at all (many write 1 throughout)."""
    if any(n is None for n in numbers) or len(set(numbers)) < 2:
        return
    pairs = sorted({(int(n), int(e)) for n, e in zip(numbers, of, strict=True) if n is not None})
    for at in (0, 1):
        names = [p[at] for p in pairs]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            times = sorted({float(values[of == e][0]) * 1000 for n, e in pairs if (n, e)[at] == twice})
            raise InputError(
                "echo_times_inconsistent",
                f"echo {twice} has several echo times" if at == 0 else "several echo numbers share an echo time",
                found=", ".join(f"{t:g} ms" for t in times),
                expected="one time per echo number",
                where=where,
                do="export the series again; two scans may share a series",
            )
    check_gap([p[0] for p in pairs], where)


def check_gap(numbers: Sequence[int], where: object) -> None:
    """Raises `InputError` where echo numbers leave one out, or do not begin at the first."""
    present = sorted(set(numbers))
    first = 0 if present and present[0] == 0 else 1
    # Numbers that count something else reach to billions: only the first few that lack are looked for.
    last = min(max(present, default=0), first + len(present) + 4)
    lacking = sorted(set(range(first, last + 1)) - set(present))[:5]
    if lacking:
        raise InputError(
            "echo_missing",
            f"echo {', '.join(map(str, lacking))} is missing",
            found=f"echoes {', '.join(map(str, present))}",
            expected=f"all from {first} to {present[-1]}",
            where=where,
            do="copy the whole series again",
        )


def by_number(numbers: Sequence[int | None], count: int) -> np.ndarray | None:
    """The echo of each image by its rising echo number; None where the numbers are not ``count`` different ones."""
    known = sorted({n for n in numbers if n is not None})
    if any(n is None for n in numbers) or len(known) != count:
        return None
    return np.array([known.index(n) for n in numbers if n is not None])
