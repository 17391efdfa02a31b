"""Which modalities exist: found by their files, listed nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tracker.errors import InputError


@dataclass(frozen=True, slots=True)
class Modality:
    """A modality's folder: ``package`` (``pet``), the ``names`` a sheet may use for it, and its ``kind``.

    ``kind`` is ``image`` (has ``calibrate.py``) or ``table`` (has ``tabulate.py``).
    """

    package: str
    names: tuple[str, ...]
    kind: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a DICOM series is: the sheet's word for its modality, its role, and why it gets no row of its own (empty where it does).

    A modality whose series need a look at more than DICOM's modality has a ``recognise.py`` with
    ``recognise(series) -> tuple[Recognised, ...]`` for its series of one folder, and ``TAGS``, which it needs to see.
    """

    modality: str
    role: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RawScan:
    """One scan that is no DICOM: its ``path`` (a folder or file), its ``files``, and what it is, as `Recognised` says it.

    ``kind`` names its format, ``shape`` its images (frames × rows × columns). A modality with such files has in its ``recognise.py``
    ``recognise_files(files) -> tuple[RawScan, ...]``, for all files of a walk that are no DICOM.
    """

    path: Path
    files: tuple[Path, ...]
    kind: str
    shape: str
    acquired: datetime | None
    recognised: Recognised


@cache
def modalities() -> tuple[Modality, ...]:
    """Every folder beside this file that has ``calibrate.py`` or ``tabulate.py``, by name.

    A package may serve several sheet names (``NAMES`` in its ``__init__``); its own name is the default.

    >>> "pet" in {m.package for m in modalities()}
    True
    """
    found = []
    for folder in sorted(Path(__file__).parent.iterdir()):
        kind = next((k for k, f in (("image", "calibrate.py"), ("table", "tabulate.py")) if (folder / f).is_file()), "")
        if kind:
            names = getattr(import_module(f"tracker.{folder.name}"), "NAMES", (folder.name,))
            found.append(Modality(folder.name, tuple(names), kind, folder))
    return tuple(found)


def modality(name: str) -> Modality:
    """The modality that a sheet calls ``name``; an `InputError` names the known ones otherwise."""
    for one in modalities():
        if name in one.names:
            return one
    known = ", ".join(n for m in modalities() for n in m.names)
    raise InputError("unknown_modality", "no modality has this name", found=repr(name), expected=known, do="use one of the known names")


def has_part(name: str, module: str) -> bool:
    """Whether a modality's folder has this file: some are a modality's own choice (``measure``, ``standards``).

    >>> has_part("pet", "calibrate"), has_part("pet", "no_such_file")
    (True, False)
    """
    folder = modality(name).folder
    return (folder / f"{module}.py").is_file() or (folder / module / "__init__.py").is_file()


def part(name: str, module: str) -> ModuleType:
    """A file of a modality's folder as a module: ``part("pet", "read")`` is ``tracker.pet.read``."""
    return import_module(f"tracker.{modality(name).package}.{module}")
