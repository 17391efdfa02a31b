"""The MRI phantom: what is written is the truth, by pydicom, nibabel and numpy by hand, never by the code that reads and fits scans."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from tracker.digital import digital_study, scan_hours
from tracker.errors import InputError
from tracker.image import Grid, OrganMap, voxel_volume_ml
from tracker.mouse import mouse_grid, mouse_labels
from tracker.mri.phantom import (
    TISSUES,
    WRITERS,
    Deposit,
    MriImage,
    MriTruth,
    Receiver,
    ScanOptions,
    mri_phantom,
    scan,
    smooth_noise,
    spread_iron,
    true_relaxivity,
    write_animal_raw,
    write_classic,
    write_nifti_bids,
    write_scan_raw,
    write_study_raw,
)
from tracker.pet.phantom import write_scan_raw as write_pet_raw
from tracker.study.model import Config, Corrections, Organs, Study
from tracker.study.rows import Acquisition, Dose, Label, Subject

TIMES_S = tuple(0.0025 * n for n in range(1, 9))
START = datetime(2026, 3, 2, 9, 30)
OPTIONS = ScanOptions(START)
HOURS = {"b": -24.0, "h024": 24.0, "h072": 72.0}


@pytest.fixture(scope="module")
def organs() -> OrganMap:
    return mouse_labels(25.0, mouse_grid(25.0, 1.5))


@pytest.fixture(scope="module")
def truth(organs: OrganMap) -> MriTruth:
    """Rates from 20 to 85 /s by organ, water everywhere in the body, 10 Hz more at the head than at the tail."""
    body = organs.labels > 0
    field = np.broadcast_to(np.linspace(-5.0, 5.0, organs.grid.shape[0])[:, None, None], organs.grid.shape)
    return MriTruth(organs.grid, body.astype(float), np.where(body, 15.0 + 5.0 * organs.labels, 0.0), field)


@pytest.fixture(scope="module")
def few(truth: MriTruth) -> MriTruth:
    """Eight slices through the trunk: enough for files."""
    cut = slice(28, 36)
    affine = truth.grid.affine.copy()
    affine[:3, 3] = (truth.grid.affine @ [0.0, 0.0, 28.0, 1.0])[:3]
    grid = Grid((8, *truth.grid.shape[1:]), affine)
    return MriTruth(grid, truth.density[cut], truth.r2star_per_s[cut], truth.off_resonance_hz[cut])


def slope_per_s(echoes: np.ndarray) -> np.ndarray:
    """-d ln S / dTE of each voxel by a straight line through all echoes."""
    flat = np.log(echoes.reshape(len(echoes), -1))
    return -np.polyfit(TIMES_S, flat, 1)[0].reshape(echoes.shape[1:])


def by_hand(folder: Path, part: str = "M") -> np.ndarray:
    """(echo, z, y, x) of a classic series, sorted by echo time and position, rescaled."""
    files = [pydicom.dcmread(p) for p in folder.iterdir()]
    images = {(float(f.EchoTime), float(f.ImagePositionPatient[2])): f for f in files if f.ImageType[2] == part}
    times, places = (sorted({key[axis] for key in images}) for axis in (0, 1))
    stack = [
        [images[t, z].pixel_array * float(images[t, z].RescaleSlope) + float(images[t, z].RescaleIntercept) for z in places] for t in times
    ]
    return np.array(stack)


# --- signal and noise ------------------------------------------------------------------------------------------------


def test_without_noise_the_logarithm_falls_by_the_rate(organs: OrganMap, truth: MriTruth) -> None:
    image = scan(truth, Receiver(TIMES_S))
    body = organs.labels > 0
    assert slope_per_s(image.magnitude[:, body]) == pytest.approx(truth.r2star_per_s[body], rel=1e-9)
    # Extrapolated to echo time 0: 1000 for water.
    at_zero = image.magnitude[0][body] * np.exp(truth.r2star_per_s[body] * TIMES_S[0])
    assert at_zero == pytest.approx(np.full(body.sum(), 1000.0))
    assert not image.magnitude[:, ~body].any()


def test_phase_grows_with_the_field(organs: OrganMap, truth: MriTruth) -> None:
    image = scan(truth, Receiver(TIMES_S))
    body = organs.labels > 0
    turned = np.diff(np.unwrap(image.phase_rad[:, body], axis=0), axis=0) / np.diff(TIMES_S)[:, None] / (2 * np.pi)
    assert turned == pytest.approx(np.broadcast_to(truth.off_resonance_hz[body], turned.shape), abs=1e-9)


@pytest.mark.parametrize(("coils", "ratio"), [(1, 0.5227), (4, 0.2543)])
def test_air_holds_noise_of_the_stated_channels(organs: OrganMap, truth: MriTruth, coils: int, ratio: float) -> None:
    """sd/mean of 1 channel is Rayleigh's √(4/π - 1); of 4 channels √(8/m² - 1) with m = 105√(2π)/96 the mean (chi, 8 degrees)."""
    image = scan(truth, Receiver(TIMES_S, snr=50.0, coils=coils, seed=3))
    air = image.magnitude[:, organs.labels == 0]
    # 8 echoes of some 13000 voxels: the ratio scatters by 0.2 %, the mean square by 0.3 %.
    assert air.std() / air.mean() == pytest.approx(ratio, rel=0.01)
    assert np.mean(air**2) == pytest.approx(2 * coils * 20.0**2, rel=0.015)


def test_second_moment_in_tissue_is_signal_and_noise(organs: OrganMap, truth: MriTruth) -> None:
    image = scan(truth, Receiver(TIMES_S, snr=20.0, coils=2, seed=4))
    liver = organs.labels == 13
    expected = (1000.0 * np.exp(-80.0 * np.array(TIMES_S))) ** 2 + 2 * 2 * 50.0**2
    assert np.mean(image.magnitude[:, liver] ** 2, axis=1) == pytest.approx(expected, rel=0.02)  # thousands of voxels of the rest


def test_gain_multiplies_signal_and_noise_alike(truth: MriTruth) -> None:
    once, more = (scan(truth, Receiver(TIMES_S, snr=30.0, gain=g, seed=5)) for g in (1.0, 1.7))
    np.testing.assert_allclose(more.magnitude, 1.7 * once.magnitude, rtol=1e-12)
    np.testing.assert_allclose(more.phase_rad, once.phase_rad, atol=1e-9)


def test_noise_differs_between_echoes_and_seeds(truth: MriTruth) -> None:
    one, two = (scan(truth, Receiver(TIMES_S, snr=30.0, seed=s)).magnitude for s in (1, 2))
    assert not np.allclose(one, two)
    air = one[:, truth.density == 0]
    # Independent: the correlation of 13000 pairs scatters by 0.9 %.
    assert abs(np.corrcoef(air[0], air[1])[0, 1]) < 0.04


def test_grain_of_smooth_noise() -> None:
    """Noise smoothed with sigma has the correlation exp(-d²/4 sigma²): 0.5 at d = FWHM/√2, 0.0625 at √2 FWHM."""
    grid = Grid((64, 64, 64), np.diag([0.5, 0.5, 0.5, 1.0]))
    field = smooth_noise(grid, 2.0 * np.sqrt(2.0), np.random.default_rng(6))
    assert (field.mean(), field.std()) == pytest.approx((0.0, 1.0), abs=1e-12)
    found = [np.mean([np.mean(field * np.roll(field, n, axis)) for axis in range(3)]) for n in (4, 8)]
    assert found == pytest.approx([0.5, 0.0625], abs=0.04)  # some 1400 grains in the field: a mean scatters by 2 to 3 %


# --- iron ------------------------------------------------------------------------------------------------------------


def test_iron_adds_up_exactly_however_uneven(organs: OrganMap) -> None:
    amount_ug = np.linspace(0.0, 6.0, len(organs.names))
    texture = np.exp(0.5 * smooth_noise(organs.grid, 4.0, np.random.default_rng(7)))
    iron = spread_iron(organs, amount_ug, texture)
    inside = [iron[organs.labels == n] for n in organs.names]
    assert [one.sum() * 1.5**3 / 1000 for one in inside] == pytest.approx(amount_ug, rel=1e-12)
    assert iron.min() >= 0 and not iron[organs.labels == 0].any()
    liver = inside[list(organs.names.values()).index("liver")]
    assert 0.1 < liver.std() / liver.mean() < 1.0


def test_a_deposit_is_dense_and_the_organ_keeps_its_amount(organs: OrganMap) -> None:
    names = list(organs.names.values())
    amount_ug = np.ones(len(names))
    even = np.ones(organs.grid.shape)
    iron = spread_iron(organs, amount_ug, even, Deposit("liver", 0.3, 4 * voxel_volume_ml(organs.grid)))
    plain = spread_iron(organs, amount_ug, even)
    liver = organs.labels == names.index("liver") + 1
    assert iron[liver].sum() == pytest.approx(plain[liver].sum())
    dense = iron > 2 * plain
    assert dense.sum() == 4 and liver[dense].all()
    assert iron[dense].sum() * voxel_volume_ml(organs.grid) == pytest.approx(0.3 + 4 * 0.7 / liver.sum())
    np.testing.assert_array_equal(iron[~liver], plain[~liver])


# --- formats ---------------------------------------------------------------------------------------------------------


def test_classic_files_by_hand(tmp_path: Path, few: MriTruth) -> None:
    image = scan(few, Receiver(TIMES_S, snr=40.0, seed=8))
    files = [pydicom.dcmread(p) for p in write_classic(tmp_path, image, OPTIONS)]
    slopes = {str(f.RescaleSlope) for f in files}
    assert len(files) == 8 * few.grid.shape[0] and len(slopes) == 1
    # Half a step: what rounding to 16 bits can do.
    assert np.abs(by_hand(tmp_path) - image.magnitude).max() <= 0.5001 * float(slopes.pop())
    assert {round(float(f.EchoTime), 6): f.EchoNumbers for f in files} == {2.5 * n: n for n in range(1, 9)}
    assert len({f.SOPInstanceUID for f in files}) == len(files) and len({f.SeriesInstanceUID for f in files}) == 1
    first = files[0]
    assert (first.AcquisitionDate, first.AcquisitionTime, float(first.AcquisitionDuration)) == ("20260302", "093000.000000", 600.0)
    assert (first.ImagedNucleus, float(first.MagneticFieldStrength), list(first.ImageType)[2]) == ("1H", 9.4, "M")


def test_phase_images_are_a_second_series_in_the_same_folder(tmp_path: Path, few: MriTruth) -> None:
    image = scan(few, Receiver(TIMES_S, snr=40.0, seed=9))
    write_classic(tmp_path, image, replace(OPTIONS, with_phase=True))
    files = [pydicom.dcmread(p, stop_before_pixels=True) for p in tmp_path.iterdir()]
    assert sorted({(f.ImageType[2], f.SeriesNumber) for f in files}) == [("M", 1), ("P", 2)]
    phase = by_hand(tmp_path, "P")
    assert phase.min() >= -4096 and phase.max() <= 4094
    off = np.angle(np.exp(1j * (phase / 4096 * np.pi - image.phase_rad)))
    assert np.abs(off).max() <= np.pi / 2048  # half a step; a whole one at the turn
    assert np.abs(by_hand(tmp_path) - image.magnitude).max() < 0.02


def test_nifti_files_by_hand(tmp_path: Path, few: MriTruth) -> None:
    image = scan(few, Receiver(TIMES_S, snr=40.0, seed=10))
    write_nifti_bids(tmp_path, image, replace(OPTIONS, with_phase=True, patient_id="m1", session="h024"))
    slopes = set()
    for echo in range(8):
        loaded = nib.load(tmp_path / f"sub-m1_ses-h024_echo-{echo + 1}_part-mag_MEGRE.nii.gz")
        slopes.add(float(loaded.dataobj.slope))
        assert loaded.get_data_dtype() == np.uint16
        # Half a step; the slope itself is a float32.
        assert np.abs(loaded.get_fdata().T - image.magnitude[echo]).max() <= 0.505 * loaded.dataobj.slope
        phase = nib.load(tmp_path / f"sub-m1_ses-h024_echo-{echo + 1}_part-phase_MEGRE.nii.gz")
        np.testing.assert_allclose(phase.get_fdata().T, image.phase_rad[echo], atol=1e-6)
        np.testing.assert_allclose(loaded.affine, few.grid.affine, atol=1e-6)
    assert len(slopes) == 1


def digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(p.relative_to(folder).as_posix().encode() + p.read_bytes() for p in files)).hexdigest()


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_same_seed_same_bytes_and_input_untouched(tmp_path: Path, few: MriTruth, kind: str) -> None:
    images = [scan(few, Receiver(TIMES_S, snr=30.0, seed=s)) for s in (1, 1, 2)]
    before = images[0].magnitude.copy(), images[0].phase_rad.copy()
    for name, image in zip("abc", images, strict=True):
        paths = WRITERS[kind](tmp_path / name, image, replace(OPTIONS, with_phase=True))
        assert paths and all(p.is_file() for p in paths)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")
    np.testing.assert_array_equal(images[0].magnitude, before[0])
    np.testing.assert_array_equal(images[0].phase_rad, before[1])


def test_an_image_of_nothing_is_written(tmp_path: Path) -> None:
    none = np.zeros((8, 2, 4, 4))
    write_classic(tmp_path, MriImage(none, none, TIMES_S, Grid((2, 4, 4), np.eye(4))), OPTIONS)
    assert not by_hand(tmp_path).any()


# --- a digital study -------------------------------------------------------------------------------------------------


def make_study(root: Path, *, seed: int = 5, voxel_mm: float = 2.0, variation_percent: float = 0.0, **mri: object) -> Study:
    """Two animals, each with Zr-89 and iron in the same cells; MRI before the dose and after."""
    section: dict[str, object] = {"seed": seed, "voxel_mm": voxel_mm, "session_hours": HOURS, "variation_percent": variation_percent}
    config = Config("digital", Organs(), Corrections(), (), {}, section | {"mri": {"formats": ["nifti"]} | mri})
    iron = Dose("", START, "spio", 5e5, "intravenous", amount=6.2, amount_unit="ug", residual_amount=0.2)
    zr = Dose("", START, "zr", 5e5, "intravenous", amount=4e5, amount_unit="Bq")
    labels = (Label("zr", "radionuclide", "Zr-89", True, 96.0), Label("spio", "iron", "", True, 96.0))
    animals = (("a1", 23.0, "healthy"), ("a2", 27.0, "injured"))
    rows = tuple(
        Acquisition(a, s, "mri", root / a / s / "mri", s, "baseline" if s == "b" else "followup", "spio", root / a / s / "organs.nii.gz")
        for a, *_ in animals
        for s in HOURS
    )
    doses = tuple(replace(d, subject=a) for a, *_ in animals for d in (zr, iron))
    subjects = tuple(Subject(a, "mouse", w, group=g) for a, w, g in animals)
    return Study(config, root / "config.yaml", root, subjects, doses, labels, rows)


Key = tuple[str, str, str]


def truth_of(path: Path) -> dict[Key, dict[str, float]]:
    """The numbers of a truth file by subject, session and organ."""
    words = ("subject", "group", "session", "modality", "organ")
    with path.open(newline="") as file:
        return {
            (r["subject"], r["session"], r["organ"]): {k: float(v) for k, v in r.items() if k not in words} for r in csv.DictReader(file)
        }


def echoes_of(row: Acquisition) -> np.ndarray:
    return np.stack([nib.load(p).get_fdata().T for p in sorted(row.path.glob("*part-mag*.nii.gz"))])


def test_study_read_back_by_hand(tmp_path: Path) -> None:
    study = make_study(tmp_path, tissue_cv_percent=8, session_sd_per_s=2, texture_percent=30, shading_percent=20)
    rows = truth_of(write_study_raw(study))
    assert len(rows) == 2 * 3 * 13
    for a in study.acquisitions:
        # Faster than 250 /s the last echoes are a few steps of 16 bits.
        labels = np.asarray(nib.load(a.organs).dataobj).T
        names = [line.split("\t") for line in (a.organs.parent / "organs.tsv").read_text().splitlines()[1:]]
        image = echoes_of(a)
        for index, organ in names:
            if organ.startswith("lung"):
                continue
            inside, row = labels == int(index), rows[a.subject, a.session, organ]
            assert inside.sum() * 0.008 == pytest.approx(row["volume_ml"])
            # 16 bits of a signal that falls to some 5 %: 1e-4 of each number, more of its slope.
            assert slope_per_s(image[:, inside]).mean() == pytest.approx(row["r2star"], rel=2e-3)


def test_iron_makes_the_difference_to_the_scan_before(tmp_path: Path) -> None:
    rows = truth_of(write_study_raw(make_study(tmp_path, texture_percent=30)))
    for (subject, session, organ), row in rows.items():
        before = rows[subject, "b", organ]
        assert before["label_amount"] == before["cells"] == before["delta_r2star"] == 0.0
        # Same tissue in all sessions here; 300 /s per mmol/L, 55.845 g/mol.
        made = 300.0 * row["label_amount"] / row["volume_ml"] / 55.845
        assert row["r2star"] - before["r2star"] == pytest.approx(made, rel=1e-6, abs=1e-6)
        assert row["delta_r2star"] == pytest.approx(made, rel=1e-6)
        assert row["time_h"] == pytest.approx(HOURS[session] + 1 / 12)
        if session == "b":
            assert row["r2star"] == pytest.approx(TISSUES[organ][1])


def test_iron_does_not_decay_and_follows_the_cells(tmp_path: Path) -> None:
    rows = truth_of(write_study_raw(make_study(tmp_path)))
    for (_, session, _), row in rows.items():
        assert row["label_amount"] == pytest.approx(6.0 * row["injected_percent"] / 100, rel=1e-6)  # 6.2 ug less 0.2 ug residual
        halved = 0.5 ** (row["time_h"] / 96.0)
        if session != "b":
            assert row["cells_equivalent"] == pytest.approx(row["label_amount"] / (6.0 / 5e5 * halved), rel=1e-6)
            assert row["cells"] < row["cells_equivalent"]
    for session, least in (("h024", 85.0), ("h072", 50.0)):
        assert least < sum(r["injected_percent"] for (s, t, _), r in rows.items() if (s, t) == ("a1", session)) < 100.0


def test_both_labels_are_in_the_same_cells(tmp_path: Path) -> None:
    """PET of the same animal at the same time holds the same cells, and the same share of the dose but for what decays."""
    study = make_study(tmp_path, scan_duration_s=1200)
    row = study.acquisitions[1]
    iron = write_scan_raw(study, row)
    zr = write_pet_raw(study, replace(row, modality="pet", label="zr", path=tmp_path / "pet", organs=None))
    assert [(r.organ, r.time_h) for r in iron] == [(r.organ, r.time_h) for r in zr]
    assert [r.cells for r in iron] == pytest.approx([r.cells for r in zr], rel=1e-12)
    assert [r.injected_percent for r in iron] == pytest.approx([r.injected_percent for r in zr], rel=1e-12)


def test_one_animal_gives_the_same_as_the_whole_study(tmp_path: Path) -> None:
    study = make_study(tmp_path, snr=50, tissue_cv_percent=8, session_sd_per_s=2, texture_percent=30, variation_percent=10)
    whole = truth_of(write_study_raw(study))
    first = digest(study.acquisitions[3].path)
    own = replace(study, acquisitions=tuple(a for a in study.acquisitions if a.subject == "a2"))
    write_animal_raw(own, "mri", "a2", tmp_path / "truth.csv")
    assert truth_of(tmp_path / "truth.csv") == {key: row for key, row in whole.items() if key[0] == "a2"}
    assert digest(study.acquisitions[3].path) == first


def test_same_seed_same_study(tmp_path: Path) -> None:
    options = {"snr": 50, "tissue_cv_percent": 8, "session_sd_per_s": 2, "texture_percent": 30, "relaxivity_cv_percent": 15}
    folders = [tmp_path / n for n in "abc"]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        folder.mkdir()
        write_study_raw(make_study(folder, seed=seed, voxel_mm=2.5, **options))
    assert digest(folders[0]) == digest(folders[1]) != digest(folders[2])


def test_tissue_varies_between_animals_and_sessions_as_stated(tmp_path: Path) -> None:
    rows = truth_of(write_study_raw(make_study(tmp_path, tissue_cv_percent=10)))
    for organ in TISSUES:
        assert rows["a1", "h024", organ]["r2star"] - rows["a1", "h024", organ]["delta_r2star"] == pytest.approx(
            rows["a1", "b", organ]["r2star"]
        )
    assert len({round(rows[a, "b", "liver"]["r2star"], 3) for a in ("a1", "a2")}) == 2
    moved = []
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        rows = truth_of(write_study_raw(make_study(folder, seed=seed, voxel_mm=2.5, session_sd_per_s=2)))
        moved += [
            rows[a, "h024", o]["r2star"] - rows[a, "h024", o]["delta_r2star"] - rows[a, "b", o]["r2star"]
            for a in ("a1", "a2")
            for o in TISSUES
        ]
    # A difference of two sessions has √2 times the sd of one; that of 156 differences scatters by 6 %.
    assert np.std(moved) == pytest.approx(2.0 * np.sqrt(2.0), rel=0.2)


def test_relaxivity_is_drawn_once_for_a_study(tmp_path: Path) -> None:
    drawn = []
    for seed in range(400):
        study = make_study(tmp_path, seed=seed, relaxivity_cv_percent=15)
        drawn.append(true_relaxivity(mri_phantom(study), digital_study(study)))
    # 400 draws: their sd scatters by 3.5 %, their median by 1 %.
    assert np.std(np.log(drawn)) == pytest.approx(0.15, rel=0.12)
    assert np.median(drawn) == pytest.approx(300.0, rel=0.04)
    study = make_study(tmp_path, relaxivity_cv_percent=15)
    true = true_relaxivity(mri_phantom(study), digital_study(study))
    for row in (r for a in study.acquisitions for r in write_scan_raw(study, a)):
        assert row.delta_r2star == pytest.approx(true * row.label_amount / row.volume_ml / 55.845)


def test_gain_of_a_session_scales_its_images_alone(tmp_path: Path) -> None:
    plain, louder = make_study(tmp_path / "a", snr=40), make_study(tmp_path / "b", snr=40, gains={"h024": 1.7})
    for one, other, gain in zip(plain.acquisitions[:2], louder.acquisitions[:2], (1.0, 1.7), strict=True):
        assert write_scan_raw(plain, one) == write_scan_raw(louder, other)
        a, b = echoes_of(one), echoes_of(other)
        np.testing.assert_allclose(b, gain * a, atol=2 * b.max() / 65530)  # two roundings


def test_lower_field_slows_tissue(tmp_path: Path) -> None:
    study = make_study(tmp_path, field_t=7.0)
    rows = {r.organ: r.r2star for r in write_scan_raw(study, study.acquisitions[0])}
    assert rows["liver"] == pytest.approx(75.0 * 7.0 / 9.4)


def test_formats_are_taken_in_turn_from_the_scan_before_the_dose_on(tmp_path: Path) -> None:
    study = make_study(tmp_path, voxel_mm=2.5, formats=["classic", "nifti", "paravision"], with_phase=True)
    for row in reversed(study.acquisitions[:3]):
        write_scan_raw(study, row)
    assert {p.suffix for p in (tmp_path / "a1/b/mri").iterdir()} == {".dcm"}
    assert any((tmp_path / "a1/h024/mri").glob("*MEGRE.nii.gz"))
    assert any((tmp_path / "a1/h072/mri").rglob("2dseq"))


def test_an_earlier_format_leaves_nothing_behind(tmp_path: Path) -> None:
    row = make_study(tmp_path).acquisitions[0]
    write_scan_raw(make_study(tmp_path, formats=["paravision"]), row)
    write_scan_raw(make_study(tmp_path), row)
    assert not list(row.path.rglob("2dseq")) and all(p.is_file() for p in row.path.iterdir())


def test_a_session_may_precede_the_dose(tmp_path: Path) -> None:
    study = make_study(tmp_path, voxel_mm=2.5, formats=["classic"])
    row = study.acquisitions[0]
    assert scan_hours(study, digital_study(study), row) == -24.0
    write_scan_raw(study, row)
    assert pydicom.dcmread(next(row.path.iterdir())).AcquisitionDate == "20260301"


def _no_iron(s: Study) -> Study:
    return replace(s, doses=tuple(d for d in s.doses if d.label != "spio"))


def _iron_in_becquerel(s: Study) -> Study:
    return replace(s, doses=tuple(replace(d, amount_unit="Bq") for d in s.doses))


def _other_session(s: Study) -> Study:
    return replace(s, acquisitions=tuple(replace(a, session="h999") for a in s.acquisitions))


def _with(**mri: object) -> Callable[[Study], Study]:
    return lambda s: replace(s, config=replace(s.config, phantom=dict(s.config.phantom or {}) | {"mri": mri}))


@pytest.mark.parametrize(
    "damage",
    [
        _no_iron,
        _iron_in_becquerel,
        _other_session,
        _with(noise=3),
        _with(formats=["enhanced"]),
        _with(formats=[]),
        _with(deposit_organ="hepar", deposit_share=0.1),
        _with(deposit_organ="liver", deposit_share=2),
        _with(session_sd_per_s=500),
    ],
)
def test_wrong_study_is_an_input_error(tmp_path: Path, damage: Callable[[Study], Study]) -> None:
    study = damage(make_study(tmp_path))
    with pytest.raises(InputError, match=r"phantom_config|phantom_sheets"):
        write_scan_raw(study, study.acquisitions[0])
    assert not list(tmp_path.iterdir())
