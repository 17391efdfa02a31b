"""Headers: only named tags leave a file, pixels are found without being read, bad values are named."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from tracker.dicom import read_instances
from tracker.errors import InputError


def test_only_named_tags_leave_the_file(write_slice):
    path = write_slice("1.dcm", 0, PatientName="Secret^Person", PatientBirthDate="19700101", InstitutionName="Somewhere")
    (instance,), _ = read_instances([path])
    assert "Secret" not in str(instance.header) and "Somewhere" not in str(instance.header)
    assert instance.get("SeriesNumber") == 5


def test_empty_is_missing(write_slice):
    (instance,), _ = read_instances([write_slice("1.dcm", 0, SliceThickness="", FrameOfReferenceUID="")])
    assert instance.get("SliceThickness") is None and instance.get("FrameOfReferenceUID", "none") == "none"
    assert instance.get("RescaleIntercept") == 0, "zero is not missing"


def test_pixels_are_where_the_header_says(write_slice):
    path = write_slice("1.dcm", 3)
    (instance,), _ = read_instances([path])
    raw = np.fromfile(path, "<i2", 12, offset=instance.pixel_offset)
    assert raw.tolist() == (300 + np.arange(12)).tolist() and instance.pixel_bytes == 24


def test_a_decimal_comma_is_an_error_that_names_the_tag(write_slice):
    path = write_slice("1.dcm", 0, RescaleSlope="1.75")
    path.write_bytes(path.read_bytes().replace(b"1.75", b"1,75"))
    (instance,), _ = read_instances([path])
    with pytest.raises(InputError) as raised:
        instance.get("RescaleSlope")
    error = raised.value
    assert error.code == "bad_header_value" and "RescaleSlope" in error.what and "1,75" in error.found and error.where == str(path)


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "SliceThickness"])
def test_text_among_numbers_is_an_error_and_not_a_crash(write_slice, keyword):
    path = write_slice("1.dcm", 0, PixelSpacing=["7.75", "7.75"], ImagePositionPatient=["7.75"] * 3, SliceThickness="7.75")
    path.write_bytes(path.read_bytes().replace(b"7.75", b"7,75"))
    (instance,), _ = read_instances([path])
    with pytest.raises(InputError, match=f"bad_header_value: {keyword}"):
        instance.get(keyword)


def test_a_bad_number_inside_a_sequence_is_met_when_the_sequence_is(write_slice):
    item = Dataset()
    item.RadionuclideHalfLife = "6586.2"
    path = write_slice("1.dcm", 0, RadiopharmaceuticalInformationSequence=[item])
    path.write_bytes(path.read_bytes().replace(b"6586.2", b"6586,2"))
    (instance,), _ = read_instances([path], ["RadiopharmaceuticalInformationSequence"])
    with pytest.raises(InputError, match="bad_header_value: RadiopharmaceuticalInformationSequence"):
        instance.get("RadiopharmaceuticalInformationSequence")


def test_byte_orders_are_not_mixed_up(write_slice):
    # 0x0100 in one byte order is 0x0001 in the other: the same two bytes.
    def big(ds: Dataset) -> None:
        ds.PixelData = np.zeros(256 * 4, ">i2").tobytes()

    little = write_slice("little.dcm", 0, Rows=1, PixelData=np.zeros(4, "<i2").tobytes())
    other = write_slice("big.dcm", 1, Rows=256, edit=big, syntax=ExplicitVRBigEndian)
    instances, _ = read_instances([little, other, little])
    assert [i.get("Rows") for i in instances] == [1, 256, 1]


def test_implicit_and_explicit_headers_say_the_same(write_slice):
    instances, _ = read_instances([write_slice("e.dcm", 0), write_slice("i.dcm", 0, syntax=ImplicitVRLittleEndian)])
    for keyword in ("Rows", "PixelSpacing", "ImagePositionPatient", "RescaleSlope", "SeriesInstanceUID"):
        assert instances[0].get(keyword) == instances[1].get(keyword)
