"""When ParaVision's echoes were: three parameters say it, and must agree."""

from __future__ import annotations

import numpy as np

from tracker.errors import InputError
from tracker.mri.echoes import agreed
from tracker.mri.paravision.frames import Group, group_size
from tracker.mri.paravision.parameters import numbers
from tracker.mri.paravision.reconstructions import Reconstruction

# The files of one scan write the same times with six digits or more.
_SAME_TIME = 1e-3


def _stated_ms(values: np.ndarray | None, start: int, count: int) -> np.ndarray | None:
    """The echoes' times in a parameter that may hold more; None where it does not hold as many, or not as numbers."""
    if values is None or len(values) < start + count or (start == 0 and len(values) != count):
        return None
    chosen = values[start : start + count]
    return chosen if np.isfinite(chosen).all() else None


def _in_files(files: Reconstruction, groups: tuple[Group, ...]) -> dict[str, np.ndarray]:
    count = group_size(groups, "FG_ECHO")
    start = next((s for g in groups if g.name == "FG_ECHO" for key, s in g.starts if key == "VisuAcqEchoTime"), 0)
    told = {
        "VisuAcqEchoTime": _stated_ms(numbers(files.visu, "VisuAcqEchoTime"), start, count),
        "EffectiveTE of method": _stated_ms(numbers(files.method, "EffectiveTE"), 0, count),
        "ACQ_echo_time of acqp": _stated_ms(numbers(files.acqp, "ACQ_echo_time"), 0, count),
    }
    return {name: times for name, times in told.items() if times is not None}


def echo_times_s(files: Reconstruction, groups: tuple[Group, ...], sheet_ms: tuple[float, ...]) -> list[float]:
    """Echo times in the order of the frames [s]: the files', else the sheet's.

    Raises `InputError` where nobody states one for every echo, and where those who do disagree.
    """
    told = _in_files(files, groups)
    first, times = next(iter(told.items()), ("", np.empty(0)))
    for name, other in told.items():
        if not np.allclose(other, times, rtol=_SAME_TIME, atol=0):
            raise InputError("echo_times_disagree", f"{first} and {name} differ", found=f"{times.tolist()} and {other.tolist()} ms",
                             expected="the same times", where=files.folder, do="copy or reconstruct the scan again")  # fmt: skip
    found = agreed(tuple(float(t) / 1000.0 for t in times), sheet_ms, files.folder)
    count = group_size(groups, "FG_ECHO")
    if len(found) != count:
        raise InputError("echo_times_disagree", "the sheet's echo times are not as many as the echoes", found=f"{len(found)} time(s)",
                         expected=f"{count}", where=files.folder, do="correct the sheet's `echo_times_ms`")  # fmt: skip
    return list(found)
