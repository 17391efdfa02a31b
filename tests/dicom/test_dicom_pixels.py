"""Stored values: as pydicom reads them, whatever the bits and the compression; damaged, absurd or undecodable ones refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from tracker.dicom import pixels as module
from tracker.dicom import read_instances
from tracker.dicom.pixels import check_pixels, load_frame, stored_values
from tracker.errors import InputError


def one(path):
    (instance,), dropped = read_instances([path])
    assert not dropped
    return instance


def refused(path, code: str) -> InputError:
    with pytest.raises(InputError) as raised:
        stored_values(one(path))
    assert raised.value.code == code and raised.value.where == str(path)
    return raised.value


def typed(dtype: str, values: np.ndarray, **tags: object):
    bits = np.dtype(dtype).itemsize * 8

    def edit(ds: Dataset) -> None:
        ds.BitsAllocated = ds.BitsStored = bits
        ds.HighBit, ds.PixelRepresentation = bits - 1, int(np.dtype(dtype).kind == "i")
        for keyword, value in tags.items():
            setattr(ds, keyword, value)
        ds.PixelData = values.astype(dtype).tobytes()
        ds["PixelData"].VR = "OB" if bits == 8 else "OW"

    return edit


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2", "<u4", "<i4"])
def test_all_integer_types_come_back(write_slice, dtype):
    limits = np.iinfo(dtype)
    values = np.linspace(limits.min, limits.max, 12, dtype=float).astype(dtype).reshape(3, 4)
    path = write_slice("1.dcm", 0, edit=typed(dtype, values))
    np.testing.assert_array_equal(stored_values(one(path)), values)
    np.testing.assert_array_equal(stored_values(one(path)), dcmread(path).pixel_array)


def test_bits_above_bits_stored_are_dropped(write_slice):
    values = np.arange(-6, 6).reshape(3, 4)
    # Twelve signed bits with an old overlay in the upper four.
    raw = (values & 0x0FFF) | 0xA000
    path = write_slice("1.dcm", 0, edit=typed("<u2", raw, BitsStored=12, HighBit=11, PixelRepresentation=1))
    np.testing.assert_array_equal(stored_values(one(path)), values)


def test_big_endian_and_implicit_files(write_slice):
    values = np.array([[1, -2, 300, -400]] * 3)
    for syntax, dtype in ((ExplicitVRBigEndian, ">i2"), (ImplicitVRLittleEndian, "<i2")):
        path = write_slice(f"{syntax}.dcm", 0, edit=typed(dtype, values), syntax=syntax)
        np.testing.assert_array_equal(stored_values(one(path)), values)


def test_float_pixels(write_slice):
    values = np.linspace(-1, 1e6, 12, dtype="<f4").reshape(3, 4)

    def edit(ds: Dataset) -> None:
        del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
        ds.BitsAllocated, ds.FloatPixelData = 32, values.tobytes()

    np.testing.assert_array_equal(stored_values(one(write_slice("1.dcm", 0, edit=edit))), values)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("dtype", ["<u2", "<i2"])
def test_row_36_lossless_compression_comes_back_equal(write_slice, syntax, dtype):
    rng = np.random.default_rng(3)
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, (64, 48), endpoint=True).astype(dtype)
    path = write_slice("1.dcm", 0, edit=typed(dtype, values, Rows=64, Columns=48))
    ds = dcmread(path)
    # pydicom's own encoder of JPEG 2000 and JPEG-LS signals signed numbers in the header alone; readers must heed it.
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path)
    instance = one(path)
    assert instance.pixel_offset is None and instance.transfer_syntax == syntax
    np.testing.assert_array_equal(stored_values(instance), values)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_row_36_frames_of_a_compressed_file_are_told_apart(write_slice, syntax):
    values = np.arange(4 * 64 * 48).reshape(4, 64, 48)
    path = write_slice("1.dcm", 0, edit=typed("<u2", values, Rows=64, Columns=48, NumberOfFrames=4))
    ds = dcmread(path)
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path)
    for frame in (3, 0, 2):
        np.testing.assert_array_equal(stored_values(one(path), frame), values[frame])


def compressed(write_slice):
    path = write_slice("1.dcm", 0)
    ds = dcmread(path)
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(path)
    return path


def test_row_36_a_syntax_without_decoder_names_the_package(write_slice):
    path = compressed(write_slice)
    ds = dcmread(path)
    # MPEG-4: no decoder of stills has it.
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    ds.save_as(path)
    error = refused(path, "no_decoder")
    assert "1.2.840.10008.1.2.4.102" in error.found and "python-gdcm" in error.do and "install" in error.do


def test_row_36_a_decoder_that_is_not_installed_is_named(write_slice, monkeypatch):
    from pydicom.pixels.decoders import base

    path = compressed(write_slice)
    monkeypatch.setattr(base.Decoder, "is_available", property(lambda self: False))
    assert "python-gdcm" in refused(path, "no_decoder").do


def test_row_35_a_damaged_stream_is_not_blamed_on_a_decoder(write_slice):
    path = write_slice("1.dcm", 0, edit=typed("<u2", np.arange(64 * 64), Rows=64, Columns=64))
    ds = dcmread(path)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    ds.PixelData = ds.PixelData[:8] + bytes(len(ds.PixelData) - 16) + ds.PixelData[-8:]
    ds["PixelData"].is_undefined_length = True
    ds.save_as(path)
    refused(path, "truncated_pixels")


@pytest.mark.parametrize("keep", [0, 1, 23])
def test_row_35_truncated_pixels_state_both_lengths(write_slice, keep):
    path = write_slice("1.dcm", 0)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 24 + keep])
    error = refused(path, "truncated_pixels")
    assert error.found.startswith(f"{keep} bytes") and error.expected.startswith("24 bytes")


def test_row_35_files_cut_anywhere_in_the_header_never_crash(write_slice):
    path = write_slice("1.dcm", 0)
    content = path.read_bytes()
    for length in range(132, len(content), 7):
        path.write_bytes(content[:length])
        for instance in read_instances([path])[0]:
            with pytest.raises(InputError):
                stored_values(instance)


@pytest.mark.parametrize(
    "tags",
    [
        {"BitsAllocated": 32},  # the data are half of what 32 bits need
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},  # the data are twice as long
        {"Rows": 2},
        {"Rows": 300},
    ],
)
def test_row_40_matrix_or_bits_that_do_not_fit_the_data(write_slice, tags):
    with pytest.raises(InputError) as raised:
        check_pixels(one(write_slice("1.dcm", 0, **tags)))
    assert raised.value.code in ("truncated_pixels", "pixel_size") and "24 bytes" in raised.value.found


@pytest.mark.parametrize(
    "tags",
    [
        {"BitsAllocated": 12},
        {"BitsStored": 17},
        {"BitsStored": 0},
        {"SamplesPerPixel": 3},
        {"BitsStored": 12, "HighBit": 15},
        {"BitsAllocated": None},
    ],
)
def test_row_40_formats_that_are_not_grey_integers(write_slice, tags):
    error = refused(write_slice("1.dcm", 0, **tags), "pixel_format")
    assert "BitsAllocated" in error.found and "HighBit" in error.expected


def test_row_38_an_absurd_matrix_is_refused_before_memory_is_asked_for(write_slice, monkeypatch):
    path = write_slice("1.dcm", 0, Rows=65535, Columns=65535, NumberOfFrames=100000)
    monkeypatch.setattr(module.np, "fromfile", lambda *a, **k: pytest.fail("pixels were read"))
    error = refused(path, "pixel_size")
    assert error.found == f"{65535**2 * 100000 * 2} bytes"


def test_row_38_the_same_for_compressed_pixels(write_slice):
    path = compressed(write_slice)
    ds = dcmread(path)
    ds.Rows = ds.Columns = 65535
    ds.NumberOfFrames = 100000
    ds.save_as(path)
    refused(path, "pixel_size")


def test_an_empty_matrix_is_refused(write_slice):
    refused(write_slice("1.dcm", 0, Rows=0), "pixel_size")


def test_slices_keep_their_own_slope(write_slice):
    places = [(one(write_slice(f"{z}.dcm", z)), 0) for z in range(3)]
    volume = load_frame(places, np.array([1.0, 0.001, 3e5]), np.zeros(3))
    expected = np.stack([(100 * z + np.arange(12.0)).reshape(3, 4) * s for z, s in enumerate((1.0, 0.001, 3e5))])
    # float32 has 24 bits.
    np.testing.assert_allclose(volume, expected, rtol=2**-24)
    assert volume.dtype == np.float32
