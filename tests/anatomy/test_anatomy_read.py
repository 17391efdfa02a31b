"""CT and MR files as scanners leave them: what is read, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracker.anatomy import Anatomy, body_of, read_anatomy
from tracker.beds.bodies import girth_mm
from tracker.digital import write_nifti
from tracker.digital.anatomy import AnatomyScan, Placement, scanned, wide_grid, write_anatomy
from tracker.errors import InputError
from tracker.image import Grid

CT = AnatomyScan(frame="1.2.3")
GRID = Grid((12, 16, 20), np.array([[-2.0, 0, 0, 19], [0, -1.5, 0, 11], [0, 0, 2.5, -14], [0, 0, 0, 1]]), "1.2.3")


def values(grid: Grid = GRID, seed: int = 0) -> np.ndarray:
    """Air with a block of water and bone, whole numbers, every voxel another."""
    rng = np.random.default_rng(seed)
    image = -1000.0 + rng.integers(-20, 20, grid.shape)
    image[3:9, 4:12, 5:15] = 40 + rng.integers(-20, 20, (6, 8, 10))
    image[5, 6, 7] = 900
    return image


def test_ct_in_hounsfield_units_where_it_lies(tmp_path: Path) -> None:
    write_anatomy(tmp_path / "ct", values(), GRID, CT)
    found = read_anatomy(tmp_path / "ct")
    np.testing.assert_array_equal(found.values, values())
    np.testing.assert_allclose(found.grid.affine, GRID.affine, atol=1e-6)
    assert (found.contrast, found.grid.frame_of_reference_uid, found.values.dtype) == ("ct", "1.2.3", np.float32)
    assert found.findings == ()


def test_mr_keeps_its_own_unit(tmp_path: Path) -> None:
    write_anatomy(tmp_path / "mr", np.abs(values()), GRID, replace(CT, modality="MR"))
    found = read_anatomy(tmp_path / "mr")
    assert found.contrast == "mr"
    np.testing.assert_array_equal(found.values, np.abs(values()))


def test_a_folder_that_holds_the_pet_too(tmp_path: Path) -> None:
    from tracker.pet.phantom import PetImage
    from tracker.pet.phantom.classic import write_classic
    from tracker.pet.phantom.options import ScanOptions

    image = PetImage(np.ones((1, *GRID.shape)), np.zeros((1, 12)), np.full((1, 12), 60.0), GRID)
    write_classic(tmp_path / "all", image, ScanOptions(datetime(2026, 3, 2, 11), datetime(2026, 3, 2, 10)))
    write_anatomy(tmp_path / "all", values(), GRID, CT)
    found = read_anatomy(tmp_path / "all")
    np.testing.assert_array_equal(found.values, values())
    assert [f.check for f in found.findings] == ["other_series"]


def test_a_scout_beside_the_scan_is_left_out_and_alone_refused(tmp_path: Path) -> None:
    def scout(ds: Any, z: int) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_anatomy(tmp_path / "both", values(), GRID, CT)
    write_anatomy(tmp_path / "both/scout", values(seed=1), GRID, replace(CT, seed=1), scout)
    np.testing.assert_array_equal(read_anatomy(tmp_path / "both").values, values())
    with pytest.raises(InputError, match="a localiser") as error:
        read_anatomy(tmp_path / "both/scout")
    assert error.value.code == "anatomy_series"


def test_of_several_echoes_the_shortest(tmp_path: Path) -> None:
    mr = replace(CT, modality="MR")
    for n, echo in enumerate((12.0, 3.0)):

        def timed(ds: Any, z: int, echo: float = echo, n: int = n) -> None:
            ds.EchoTime, ds.InstanceNumber = echo, 100 * n + z
            ds.SOPInstanceUID = f"1.2.{n}.{z}"

        write_anatomy(tmp_path / f"mr/{n}", np.abs(values(seed=n)), GRID, mr, timed)
    found = read_anatomy(tmp_path / "mr")
    np.testing.assert_array_equal(found.values, np.abs(values(seed=1)))
    assert "the first of 2 images" in found.findings[0].reason


def drop(folder: Path) -> None:
    sorted(folder.iterdir())[5].unlink()


def cut(folder: Path) -> None:
    file = sorted(folder.iterdir())[5]
    file.write_bytes(file.read_bytes()[:-100])


def second(folder: Path) -> None:
    write_anatomy(folder / "again", values(), GRID, replace(CT, seed=3))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "notes.txt").write_text("nothing")


@pytest.mark.parametrize(
    ("spoil", "code"), [(drop, "missing_slice"), (cut, "truncated_pixels"), (second, "series_ambiguous"), (empty, "no_series")]
)
def test_damaged_folders(tmp_path: Path, spoil: Callable[[Path], None], code: str) -> None:
    write_anatomy(tmp_path / "ct", values(), GRID, CT)
    spoil(tmp_path / "ct")
    with pytest.raises(InputError) as error:
        read_anatomy(tmp_path / "ct")
    assert error.value.code == code


def tilt(ds: Any, z: int) -> None:
    x, y, depth = ds.ImagePositionPatient
    ds.ImagePositionPatient = [x, y + 0.4 * z, depth]


def colour(ds: Any, z: int) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = bytes(ds.Rows * ds.Columns * 3)


def phase(ds: Any, z: int) -> None:
    ds.Modality, ds.ImageType = "MR", ["ORIGINAL", "PRIMARY", "P"]


def no_scale(ds: Any, z: int) -> None:
    del ds.RescaleSlope


@pytest.mark.parametrize(
    ("edit", "code", "words"),
    [
        (tilt, "tilted_stack", "gantry tilt"),
        (colour, "anatomy_series", "colour image (RGB)"),
        (phase, "anatomy_series", "phase"),
        (no_scale, "ct_rescale_missing", "RescaleSlope"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, edit: Callable[[Any, int], None], code: str, words: str) -> None:
    write_anatomy(tmp_path / "ct", values(), GRID, CT, edit)
    with pytest.raises(InputError) as error:
        read_anatomy(tmp_path / "ct")
    assert error.value.code == code and words in str(error.value)


def test_padding_is_no_air(tmp_path: Path) -> None:
    image = values()
    image[:, :2, :] = -1024.0 + 24

    def padded(ds: Any, z: int) -> None:
        stored = np.frombuffer(ds.PixelData, "<i2").reshape(GRID.shape[1:]).copy()
        stored[:2] = -2000
        ds.PixelData = stored.tobytes()
        ds.add_new("PixelPaddingValue", "SS", -2000)

    write_anatomy(tmp_path / "ct", image, GRID, CT, padded)
    found = read_anatomy(tmp_path / "ct").values
    assert np.isnan(found[:, :2]).all() and np.isfinite(found[:, 2:]).all()


def test_ct_in_another_unit_is_not_taken_for_hounsfield(tmp_path: Path) -> None:
    write_anatomy(tmp_path / "ct", values() + 1000.0, GRID, CT)
    found = read_anatomy(tmp_path / "ct")
    assert found.contrast == "other" and [f.check for f in found.findings] == ["ct_numbers"]


@pytest.mark.parametrize(
    ("word", "shift", "contrast"), [("ct", 0.0, "ct"), ("anything", 0.0, "ct"), ("T1w", 1000.0, "other"), ("mr", 1000.0, "mr")]
)
def test_nifti_says_little_of_itself(tmp_path: Path, word: str, shift: float, contrast: str) -> None:
    write_nifti(tmp_path / "scan.nii.gz", (values() + shift).astype(np.float32), GRID)
    found = read_anatomy(tmp_path / "scan.nii.gz", word=word)
    assert found.contrast == contrast and found.grid.frame_of_reference_uid == ""
    np.testing.assert_allclose(found.values, values() + shift)
    np.testing.assert_allclose(found.grid.affine, GRID.affine)


@pytest.mark.parametrize("weight_g", [18.0, 30.0])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_body_s_volume_is_that_of_the_weight(weight_g: float, modality: str) -> None:
    grid, how = wide_grid(0.9), AnatomyScan(modality, noise=50.0 if modality == "CT" else 25.0)
    image = scanned(weight_g, grid, Placement((4, -3, 6), (1.5, -1, 2), 1.0), how).astype(np.float32)
    body = body_of(Anatomy(image, grid, modality.lower()), girth_mm(weight_g))
    # The mouse's mean density is that of its tissues, 1.04; the plate it lies on has a fifth of its volume and is none of it.
    assert body is not None and not body.cut
    assert body.volume_ml == pytest.approx(weight_g / 1.04, rel=0.04 if modality == "CT" else 0.12)
