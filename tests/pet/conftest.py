"""Raw files of a scan, as the phantom's writers make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pet.pet_cases import INJECTION, START
from tracker.pet.phantom import WRITERS, PetImage, ScanOptions


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a scan's raw files as ``kind`` and gives its path: ``write(kind, image, options)`` or with options as keywords."""

    def _write(kind: str, image: PetImage, name: str = "scan", **options: Any) -> Path:
        settings = {"scan_start": START, "injection": INJECTION, "nuclide": "18F", "dose_bq": 8e6, "weight_kg": 0.025} | options
        files = WRITERS[kind](tmp_path / name, image, ScanOptions(**settings))
        return files[0] if kind == "nifti" else tmp_path / name

    return _write
