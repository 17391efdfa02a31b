"""Enhanced MR DICOM: frames of all echoes and kinds in one file or several, each frame with its own scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.mri.mri_cases import START, TIMES_MS, context_of, full_turn, numbers, statuses, write_enhanced
from tracker.errors import InputError
from tracker.image import Scan
from tracker.mri.read import read


def scan_of(path: Path, **row: Any) -> Scan:
    return read(path, "", context_of(path, **row))


def refused(path: Path, code: str, **row: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        scan_of(path, **row)
    assert raised.value.code == code, raised.value
    return raised.value


def test_frames_are_sorted_by_echo_time_and_place(tmp_path):
    stored = numbers()
    scan = scan_of(write_enhanced(tmp_path / "a.dcm", stored))
    assert (np.asarray(scan.values) == stored[0]).all() and scan.values.dtype == np.float32
    header = scan.header
    assert header.echo_times_s == pytest.approx([0.003, 0.006, 0.009, 0.012], rel=1e-12)
    assert (header.source, header.nucleus, header.field_t, header.planar) == ("enhanced", "1H", 9.4, False)
    assert (header.repetition_time_s, header.flip_angle_deg, header.phase_rad, header.n_repeats) == (0.05, 20.0, None, 1)
    assert (scan.times.origin, scan.times.duration_s) == (START, (300.0,))
    assert scan.grid.affine == pytest.approx(np.array([[-0.4, 0, 0, 10], [0, -0.5, 0, -20], [0, 0, 1, 0], [0, 0, 0, 1.0]]))


def test_every_frame_has_its_own_slope(tmp_path):
    stored, slopes = numbers(), np.array([[1.0, 0.5, 3.0, 0.25]])
    scan = scan_of(write_enhanced(tmp_path / "a.dcm", stored, slopes=slopes, intercepts=[2.0]))
    assert (np.asarray(scan.values) == stored[0] * slopes[0][:, None, None, None] + 2.0).all()


def test_a_real_world_map_comes_before_the_rescale_slope(tmp_path):
    def edit(ds: Dataset) -> None:
        mapping = Dataset()
        mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 4095
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 7.0, 0.0
        ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = [mapping]

    stored = numbers()
    assert (np.asarray(scan_of(write_enhanced(tmp_path / "a.dcm", stored, edit=edit)).values) == stored[0] * 7.0).all()


def both(tmp_path: Path, one_file: bool) -> tuple[np.ndarray, np.ndarray]:
    stored, turn = numbers(), full_turn()

    def bits(ds: Dataset) -> None:
        ds.BitsStored, ds.HighBit = 12, 11

    if one_file:
        mixed = np.concatenate([stored, turn])
        scales: dict[str, Any] = {"slopes": [[1.0] * 4, [2.0] * 4], "intercepts": [0.0, -4096.0]}
        write_enhanced(tmp_path / "a.dcm", mixed, ("MAGNITUDE", "PHASE"), edit=bits, **scales)
    else:
        write_enhanced(tmp_path / "b.dcm", stored)
        write_enhanced(tmp_path / "a.dcm", turn, ("PHASE",), slopes=[[2.0] * 4], intercepts=[-4096.0], uid="1.2.3.5", edit=bits)
    return stored, turn


@pytest.mark.parametrize("one_file", [True, False])
def test_magnitude_and_phase(tmp_path, one_file):
    stored, turn = both(tmp_path, one_file)
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all()
    np.testing.assert_allclose(np.asarray(scan.header.phase_rad), (turn[0] * 2.0 - 4096) * np.pi / 4096, atol=1e-6)  # float32 of up to pi


def test_one_file_per_echo(tmp_path):
    stored = numbers()
    for echo in (3, 1, 0, 2):
        write_enhanced(tmp_path / f"{9 - echo}.dcm", stored[:, echo : echo + 1], times_ms=TIMES_MS[echo : echo + 1], uid=f"1.2.3.4{echo}")
    assert (np.asarray(scan_of(tmp_path).values) == stored[0]).all()


def test_repeats(tmp_path):
    stored = numbers(repeats=2)

    def edit(ds: Dataset) -> None:
        # Twice the frames, the later repeat first in the file.
        frames = [*ds.PerFrameFunctionalGroupsSequence]
        for n, frame in enumerate(frames):
            frame.FrameContentSequence[0].TemporalPositionIndex = 2 - n % 2

    mixed = np.stack([stored[1], stored[0]])
    scan = scan_of(
        write_enhanced(tmp_path / "a.dcm", mixed, ("MAGNITUDE", "MAGNITUDE"), slopes=np.ones((2, 4)), intercepts=[0, 0], edit=edit)
    )
    assert scan.header.n_repeats == 2 and (np.asarray(scan.values) == stored.reshape(8, 3, 2, 3)).all()


def test_philips_keeps_its_scale_in_a_private_sequence(tmp_path):
    def edit(ds: Dataset) -> None:
        ds.Manufacturer = "Philips"
        for frame in ds.PerFrameFunctionalGroupsSequence:
            item = Dataset()
            item.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.5)
            frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
            frame.add_new((0x2005, 0x140F), "SQ", [item])
            frame[0x2005, 0x140F].value[0].add_new((0x2005, 0x100E), "FL", 0.5)

    stored, slopes = numbers(), np.array([[1.0, 2.0, 4.0, 8.0]])
    scan = scan_of(write_enhanced(tmp_path / "a.dcm", stored, slopes=slopes, edit=edit))
    # (stored RS) / (RS SS): the screen's slope drops out.
    assert (np.asarray(scan.values) == stored[0] / 0.5).all()


def bad(**tags: Any) -> Any:
    def edit(ds: Dataset) -> None:
        for keyword, value in tags.items():
            setattr(ds, keyword, value)

    return edit


def no_times(ds: Dataset) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.MREchoSequence


def one_frame_less(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[1:]


def seconds(ds: Dataset) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.MREchoSequence[0].EffectiveEchoTime /= 1000.0


def turned(ds: Dataset) -> None:
    place = Dataset()
    place.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    ds.PerFrameFunctionalGroupsSequence[0].PlaneOrientationSequence = [place]


def lost(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[0].MREchoSequence[0].EffectiveEchoTime = 6.0


@pytest.mark.parametrize(("edit", "code"), [
    (bad(EchoPulseSequence="SPIN"), "not_gradient_echo"),
    (no_times, "echo_time_missing"),
    (one_frame_less, "frames_missing"),
    (seconds, "echo_time_implausible"),
    (turned, "mixed_orientations"),
    (lost, "echo_incomplete"),
    (bad(Rows=5), "truncated_pixels"),
])  # fmt: skip
def test_what_leaves_more_than_one_answer_is_refused(tmp_path, edit, code):
    refused(write_enhanced(tmp_path / "a.dcm", numbers(), edit=edit), code)


def test_echo_times_from_the_sheet_need_an_order(tmp_path):
    # Frames are slice by slice, echo by echo: their number is an order, and one image a slice and echo makes it the only one.
    stored = numbers()
    path = write_enhanced(tmp_path / "a.dcm", stored, edit=no_times)
    assert (np.asarray(scan_of(path, echo_times_ms=TIMES_MS).values) == stored[0]).all()
    refused(path, "echo_count", echo_times_ms=TIMES_MS[:3])


def test_two_echoes_are_too_few_and_fluorine_needs_one(tmp_path):
    refused(write_enhanced(tmp_path / "h.dcm", numbers(echoes=2)), "echoes_too_few")
    path = write_enhanced(tmp_path / "f.dcm", numbers(echoes=1), edit=bad(ResonantNucleus="19F", EchoPulseSequence="SPIN"))
    scan = scan_of(path)
    assert scan.header.nucleus == "19F" and statuses(scan.findings)["phase"] == "ok"


@pytest.mark.parametrize(("sop_class", "words"), [
    ("1.2.840.10008.5.1.4.1.1.4.4", "legacy"), ("1.2.840.10008.5.1.4.1.1.4.3", "not an image class"),
])  # fmt: skip
def test_other_classes_are_refused_with_words(tmp_path, sop_class, words):
    assert words in refused(write_enhanced(tmp_path / "a.dcm", numbers(), edit=bad(SOPClassUID=sop_class)), "sop_class_unsupported").what


def test_spectroscopy_is_refused_with_words(tmp_path):
    def edit(ds: Dataset) -> None:
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.2"
        del ds.PixelData

    assert "spectroscopy" in refused(write_enhanced(tmp_path / "a.dcm", numbers(), edit=edit), "no_series").what
