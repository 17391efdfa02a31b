"""The header of one DICOM file, restricted to named tags, and where its pixels start."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tracker.dicom.files import Dropped
from tracker.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# What sorting, geometry and pixels need, whatever the modality. Only named tags ever leave a reader:
# no name, birth date or free text of a person is among them.
COMMON_TAGS: tuple[str, ...] = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "ImageType",
    "Manufacturer",
    "SeriesNumber",
    "SeriesDescription",
    "InstanceNumber",
    "SeriesDate",
    "SeriesTime",
    "StudyDate",
    "AcquisitionDate",
    "AcquisitionTime",
    "TimezoneOffsetFromUTC",
    "PatientPosition",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
)
_PIXEL_TAGS = (0x7FE00010, 0x7FE00008, 0x7FE00009)
# Compressed pixels come in fragments, and the element does not state its length.
_UNDEFINED_LENGTH = 0xFFFFFFFF
_DEFER_BYTES = 1024
_IMPLICIT = "1.2.840.10008.1.2"
# Deflated and big endian: rare enough to leave to pydicom.
_UNUSUAL = (".1.99", ".2.2")
_META_START, _LONGEST_META = 144, 64 * 1024


# Converting an element is most of the cost of a header, and slices of a series repeat almost all of theirs: each distinct
# (tag, type, byte order, bytes) is converted once.
_converted: dict[tuple[int, str | None, bool, bytes], Any] = {}
_MOST_KEPT = 200_000


@cache
def _number(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is not a DICOM keyword")
    return tag


def _whole(element: Any) -> Any:
    """An element's value, with all items of a sequence: a number that is none is met here (ValueError), not in a formula."""
    inner = (e for item in element.value for e in item.iterall()) if element.VR == "SQ" else ()
    for one in (element, *inner):
        # pydicom gives a decimal string that it cannot read as text.
        texts = [one.value] if isinstance(one.value, str) else one.value if one.VM > 1 else ()
        if one.VR in ("DS", "IS") and any(isinstance(v, str) and v.strip() for v in texts):
            raise ValueError(f"{one.keyword} {one.value!r} is not a number")
    return element.value


def _value(header: Dataset, tag: int) -> Any:
    raw = header.get_item(tag, keep_deferred=True)
    content = getattr(raw, "value", None)
    if not isinstance(content, bytes):
        return None if raw is None else _whole(header[tag])
    key = (tag, raw.VR, getattr(raw, "is_little_endian", True), content)
    try:
        return _converted[key]
    except KeyError:
        if len(_converted) > _MOST_KEPT:
            _converted.clear()
        return _converted.setdefault(key, _whole(header[tag]))


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file: its named tags (``header``), transfer syntax, and its pixel bytes' place in the file.

    ``pixel_offset`` is None where the file has no pixels or they are compressed (`tracker.dicom.pixels` then decodes the file);
    ``pixel_bytes`` is the length the header states, ``file_bytes`` the file's size.
    """

    path: Path
    header: Dataset
    transfer_syntax: str
    pixel_offset: int | None
    pixel_bytes: int | None
    file_bytes: int

    def get(self, keyword: str, default: Any = None) -> Any:
        """The tag's value, or ``default`` where it is absent or empty (empty is missing, never zero).

        Raises `InputError` where it, or a value in a sequence's items, cannot be read as its type (a decimal comma in a number).
        """
        from pydicom.errors import BytesLengthException

        try:
            value = _value(self.header, _number(keyword))
        except (ValueError, TypeError, ArithmeticError, BytesLengthException) as error:
            raise InputError(
                "bad_header_value",
                f"{keyword} cannot be read",
                found=str(error)[:200],
                expected="a value that DICOM allows",
                where=self.path,
                do="correct the tag, or export again",
            ) from error
        return default if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0) else value


def _transfer_syntax(file: BinaryIO) -> str:
    """The transfer syntax of a file whose group 2 is as the standard wants it, left at the first byte after it; else empty.

    Source: DICOM PS3.10 section 7.1: 128 bytes, DICM, then (0002,0000) with the length of the group, explicit little endian.
    """
    head = file.read(_META_START)
    if head[128:132] != b"DICM" or head[132:140] != b"\x02\x00\x00\x00UL\x04\x00":
        return ""
    meta = file.read(int.from_bytes(head[140:144], "little"))
    at = meta.find(b"\x02\x00\x10\x00UI")
    if at < 0 or file.tell() > _LONGEST_META:
        return ""
    length = int.from_bytes(meta[at + 6 : at + 8], "little")
    return meta[at + 8 : at + 8 + length].rstrip(b"\0 ").decode("ascii", "replace")


def _quick(path: Path, tags: list[Any]) -> tuple[Dataset, str] | None:
    """The tags of an ordinary file; None where anything is unusual, for pydicom's own reader to judge.

    Half of what `dcmread` costs is group 2, of which only the transfer syntax matters here.
    """
    from pydicom.filereader import read_dataset

    with path.open("rb") as file:
        syntax = _transfer_syntax(file)
        if not syntax.startswith("1.2.840.10008.1.2") or syntax.endswith(_UNUSUAL):
            return None
        header = read_dataset(file, syntax == _IMPLICIT, True, defer_size=_DEFER_BYTES, specific_tags=tags)
    # A large value that was left in the file can only be fetched later by a dataset that knows its file.
    deferred = any(e.value is None and getattr(e, "length", 0) and int(e.tag) not in _PIXEL_TAGS for e in header.values())
    return None if deferred or not header else (header, syntax)


def _read(path: Path, tags: list[Any]) -> Instance:
    from pydicom import dcmread

    # Large values are left in the file: what stays is their offset, so that pixels are later read with one seek.
    quick = _quick(path, tags)
    if quick is None:
        whole = dcmread(path, defer_size=_DEFER_BYTES, specific_tags=tags)
        quick = whole, str(whole.file_meta.get("TransferSyntaxUID", ""))
    header, syntax = quick
    offset = length = None
    for tag in _PIXEL_TAGS:
        element = header.get_item(tag, keep_deferred=True)
        if element is not None:
            length = getattr(element, "length", len(element.value or b""))
            offset = getattr(element, "value_tell", None) if length != _UNDEFINED_LENGTH else None
    return Instance(path, header, syntax, offset, length, path.stat().st_size)


def read_instances(paths: Iterable[Path], tags: Iterable[Any] = COMMON_TAGS) -> tuple[tuple[Instance, ...], tuple[Dropped, ...]]:
    """Headers of DICOM files, in the given order, and the files that could not be parsed.

    ``tags`` are keywords or numbers; all others are left in the file. Pixels are not read.
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError
    from pydicom.tag import Tag

    # What pydicom raises for files that are cut or damaged.
    unparsable = (
        InvalidDicomError,
        BytesLengthException,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        NotImplementedError,
        struct.error,
    )

    numbers = [Tag(t if isinstance(t, int) else _number(t)) for t in tags]
    instances, dropped = [], []
    with warnings.catch_warnings():
        # Values that break a length or character rule of their VR are common and harmless here; wrong values are checked by use.
        warnings.simplefilter("ignore")
        for path in paths:
            try:
                instances.append(_read(path, numbers))
            except unparsable as error:
                dropped.append(Dropped(path, "unparsable", f"{type(error).__name__}: {error}"))
    return tuple(instances), tuple(dropped)
