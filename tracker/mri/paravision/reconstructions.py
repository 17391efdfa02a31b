"""Which reconstructed images a ParaVision folder holds: study/<experiment>/pdata/<reconstruction>/2dseq."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.errors import InputError
from tracker.mri.paravision.parameters import open_parameters, required_visu

_PIXELS = "2dseq"


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """The parameter files that describe one ``2dseq``: those of its ``folder`` and of its experiment. All but ``visu`` may be None."""

    folder: Path
    visu: Any
    reco: Any
    acqp: Any
    method: Any


def open_reconstruction(folder: Path) -> Reconstruction:
    """A ``pdata/<n>`` folder's parameter files; raises `InputError` where visu_pars is missing."""
    experiment = folder.resolve().parent.parent
    inside, above = (open_parameters(folder / "reco"), [open_parameters(experiment / name) for name in ("acqp", "method")])
    return Reconstruction(folder, required_visu(folder), inside, *above)


def _of_experiment(experiment: Path) -> list[Path]:
    return [p for p in (experiment / "pdata").glob(f"*/{_PIXELS}") if p.is_file()]


def _found(path: Path) -> list[Path]:
    """The folders with pixels at or below ``path``, by experiment and reconstruction number."""
    if path.is_file():
        return [path.parent] if path.name == _PIXELS else []
    if (path / _PIXELS).is_file():
        return [path]
    if path.name == "pdata":
        path = path.parent
    pixels = _of_experiment(path)
    if not pixels:
        # Experiments are folders named by a number; what else lies in a study is not looked into.
        pixels = [p for e in path.glob("[0-9]*") if e.name.isdigit() and e.is_dir() for p in _of_experiment(e)]
    return sorted((p.parent for p in pixels), key=lambda folder: [name.zfill(12) for name in _name(folder)])


def _name(folder: Path) -> tuple[str, str]:
    resolved = folder.resolve()
    return resolved.parent.parent.name, resolved.name


def is_paravision(path: Path) -> bool:
    """Whether ``path`` is a ``2dseq`` file, a ``pdata/<n>`` folder, an experiment's or a study's folder of ParaVision.

    >>> is_paravision(Path("no_such_folder"))
    False
    """
    return bool(_found(path))


def choose(path: Path, series: str) -> Path:
    """The one ``pdata/<n>`` folder that is meant; ``series`` is ``<experiment>`` or ``<experiment>/<reconstruction>``.

    Raises `InputError` where none, or more than one, fits.
    """
    found = _found(path)
    wanted = series.strip().strip("/")
    fitting = [f for f in found if not wanted or wanted in (_name(f)[0], "/".join(_name(f)))]
    if not fitting and len({_name(f)[0] for f in found}) == 1:
        # Within one experiment's folder a plain number can only be a reconstruction.
        fitting = [f for f in found if wanted == _name(f)[1]]
    if len(fitting) != 1:
        raise InputError(
            "series_ambiguous" if fitting else "no_series",
            "not exactly one reconstruction could be meant",
            found=", ".join("/".join(_name(f)) for f in found) or "none",
            expected=wanted or "one",
            where=path,
            do="write experiment, or experiment/reconstruction (5/1), into the sheet's `series` column",
        )
    return fitting[0]
