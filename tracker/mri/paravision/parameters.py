"""ParaVision's parameter files (JCAMP-DX), one key at a time. Keys with a person's name or login are never asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import InputError


def _parser_errors() -> tuple[type[Exception], ...]:
    """What brukerapi's parser raises where it stumbles over a damaged file."""
    from brukerapi import exceptions as e

    own = (e.InvalidJcampdxFile, e.JcampdxFileError, e.JcampdxVersionError, e.JcampdxInvalidLine)
    return (*own, ValueError, TypeError, LookupError, AttributeError, SyntaxError, ArithmeticError)


def open_parameters(path: Path) -> Any:
    """A parameter file as brukerapi parses it; None where there is no such file. Raises `InputError` where it cannot be parsed."""
    from brukerapi.jcampdx import JCAMPDX

    if not path.is_file():
        return None
    try:
        return JCAMPDX(path)
    except _parser_errors() as error:
        raise _unreadable(path, "file", error) from error


def required_visu(folder: Path) -> Any:
    """``visu_pars`` of a ``pdata/<n>`` folder, without which its pixels have neither scale nor place."""
    visu = open_parameters(folder / "visu_pars")
    if visu is None:
        raise InputError(
            "visu_pars_missing",
            "the pixels have no visu_pars beside them, so neither scale nor geometry",
            found="no visu_pars",
            expected="ParaVision 4 or newer",
            where=folder,
            do="copy the whole folder again; for older versions let ParaVision export it anew",
        )
    return visu


def _unreadable(path: Path, what: str, error: Exception) -> InputError:
    return InputError(
        "parameters_unreadable",
        f"the {what} cannot be parsed as JCAMP-DX",
        found=f"{type(error).__name__}: {str(error)[:160]}",
        where=path,
        do="copy the file again",
    )


def _value(file: Any, key: str) -> Any:
    if file is None:
        return None
    try:
        return file.get_value(key)
    except _parser_errors() as error:
        raise _unreadable(Path(file.path), f"parameter {key}", error) from error


def _number(item: Any) -> float:
    try:
        return float(item)
    except (TypeError, ValueError):
        return float("nan")


def numbers(file: Any, key: str) -> np.ndarray | None:
    """A parameter's numbers as a flat array, NaN where one is not a number; None where the key is absent."""
    value = _value(file, key)
    return None if value is None else np.array([_number(item) for item in np.ravel(np.asarray(value))])


def number(file: Any, key: str) -> float | None:
    """A parameter's first number; None where absent or not finite."""
    found = numbers(file, key)
    return float(found[0]) if found is not None and found.size and np.isfinite(found[0]) else None


def words(file: Any, key: str) -> tuple[str, ...]:
    """A parameter's words, without angle brackets; empty where absent."""
    value = _value(file, key)
    return () if value is None else tuple(str(item).strip("<> ") for item in np.ravel(np.asarray(value)) if str(item).strip("<> "))


def word(file: Any, key: str) -> str:
    """A parameter's first word, empty where absent."""
    return next(iter(words(file, key)), "")


def structs(file: Any, key: str, fields: tuple[type, ...]) -> list[tuple[Any, ...]]:
    """A parameter that is a list of structures, their first fields of these types; empty where absent."""
    value = _value(file, key)
    if value is None or len(value) == 0:
        return []
    try:
        rows = value if isinstance(value[0], list) else [value]
        return [tuple(kind(row[i]) for i, kind in enumerate(fields)) for row in rows]
    except (ValueError, TypeError, IndexError) as error:
        raise _unreadable(Path(file.path), f"parameter {key}", error) from error
