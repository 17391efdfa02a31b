"""The JSON file that converters write beside a NIfTI file (BIDS)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tracker.errors import InputError


def sidecar(path: Path) -> Path:
    """The JSON file beside a NIfTI file: the same name with ``.json`` for ``.nii`` or ``.nii.gz``."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """What the sidecar of a NIfTI file says; None where there is none. Raises `InputError` where it is not a JSON object."""
    beside = sidecar(path)
    if not beside.is_file():
        return None
    try:
        record = json.loads(beside.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError("sidecar_unreadable", "the sidecar is not JSON", found=str(error), expected="JSON", where=beside) from error
    if not isinstance(record, dict):
        raise InputError("sidecar_unreadable", "the sidecar is not an object", found=type(record).__name__, expected="{ … }", where=beside)
    return record
