"""The organs of a scan as DICOM Segmentation, tied to the scan's own images: what a viewer or an archive takes.

Reference: DICOM PS3.3 A.51 and C.8.20 (Segmentation IOD).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tracker import __version__
from tracker.dicom import Instance, Series, group_series, read_instances, walk
from tracker.errors import Finding
from tracker.image import Grid, OrganMap
from tracker.organs.reference import LPS_TO_RAS

# Objects of these kinds are made from images and are none.
_NO_IMAGES = {"SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "REG"}


def write_seg(path: Path, organ_map: OrganMap, scan: Path, series: str = "") -> tuple[Finding, ...]:
    """Writes the map as a DICOM SEG to ``path``; `read_organs` on the same grid gives labels and names back.

    BINARY where organs are numbered 1, 2, 3 …, which every reader knows, else LABELMAP, which keeps other numbers. ``scan`` holds the
    images that the SEG refers to, and that patient and study are taken from: name and id of the patient are in it. Of several series
    it is the one named in ``series`` (UID or number), else the largest, always in the map's frame of reference. UIDs follow from
    content and images: the same map gets the same. Gives an ``ok`` finding, or a ``warn`` that says why there is no file: the scan is
    not DICOM, has no frame of reference, or the map has no voxel.
    """
    images, why = _images(scan, organ_map.grid, series)
    if not why and not organ_map.labels.any():
        why = "no organ has a voxel"
    if not why:
        why = _save(path, organ_map, images)
    if why:
        return (Finding("dicom_seg", "warn", f"no DICOM SEG was written: {why}"),)
    return (Finding("dicom_seg", "ok", f"{path.name} refers to {len(images)} file(s) of series {images[0].SeriesInstanceUID}"),)


def _images(scan: Path, grid: Grid, series: str) -> tuple[Sequence[Any], str]:
    """Headers of the scan's images, one for each place, or why there are none."""
    if not grid.frame_of_reference_uid:
        return (), "the scan is not DICOM, or has no frame of reference"
    instances, _ = read_instances(walk(scan).files)
    groups = [one for one in group_series(instances)[0] if _fits(one, grid)]
    named = [one for one in groups if series and series in (one.uid, str(one.first.get("SeriesNumber", "")))]
    chosen = max(named or groups, key=lambda one: len(one.instances), default=None)
    if chosen is None:
        return (), "no image of the scan is DICOM in the organ map's frame of reference"
    import pydicom

    places: dict[object, Instance] = {}
    for one in chosen.instances:
        places.setdefault(tuple(one.get("ImagePositionPatient", ())) or one.path, one)
    return [pydicom.dcmread(one.path, stop_before_pixels=True) for one in places.values()], ""


def _fits(series: Series, grid: Grid) -> bool:
    first = series.first
    image = str(first.get("Modality", "")) not in _NO_IMAGES and first.get("Rows", 0)
    return bool(image) and str(first.get("FrameOfReferenceUID", "")) == grid.frame_of_reference_uid


def _save(path: Path, organ_map: OrganMap, images: Sequence[Any]) -> str:
    """Writes the file; why it cannot be, where the images lack what a SEG must repeat, or the grid is none that DICOM knows."""
    import highdicom as hd

    names = {index: name for index, name in sorted(organ_map.names.items()) if index}
    kind = "BINARY" if list(names) == list(range(1, len(names) + 1)) else "LABELMAP"
    seed = _seed(organ_map, str(images[0].SOPInstanceUID))
    try:
        made = hd.seg.Segmentation(
            source_images=images,
            pixel_array=_volume(organ_map),
            segmentation_type=kind,
            segment_descriptions=_segments(names, organ_map.method),
            series_instance_uid=_uid(seed, "series"),
            series_number=900,
            sop_instance_uid=_uid(seed, "instance"),
            instance_number=1,
            manufacturer="celltracker",
            manufacturer_model_name="celltracker",
            software_versions=__version__,
            device_serial_number="0",
            content_label="ORGANS",
        )
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        # highdicom's words for images that lack a tag which a SEG repeats, and for grids whose axes are not at right angles.
        return f"{type(error).__name__}: {error}"
    part = path.with_name(path.name + ".part")
    made.save_as(part)
    os.replace(part, path)
    return ""


def _volume(organ_map: OrganMap) -> Any:
    """The labels with their geometry in DICOM's axes; slices in the order that DICOM's normal has."""
    import highdicom as hd

    labels, affine = organ_map.labels.astype(np.uint16), LPS_TO_RAS @ np.asarray(organ_map.grid.affine, float)
    if np.linalg.det(affine[:3, :3]) < 0:
        labels, affine = labels[::-1], affine @ _turned(labels.shape[0])
    # highdicom counts as the array does: slice, row, column.
    ordered = affine[:, [2, 1, 0, 3]]
    return hd.Volume(np.ascontiguousarray(labels), ordered, "PATIENT", frame_of_reference_uid=organ_map.grid.frame_of_reference_uid)


def _turned(slices: int) -> np.ndarray:
    turn = np.diag([1.0, 1.0, -1.0, 1.0])
    turn[2, 3] = slices - 1
    return turn


def _segments(names: Mapping[int, str], method: str) -> list[Any]:
    import highdicom as hd
    from highdicom.sr.coding import CodedConcept

    code = CodedConcept("123037004", "SCT", "Anatomical Structure")
    family = CodedConcept("123109", "DCM", "Manual Processing")
    algorithm = hd.AlgorithmIdentificationSequence(name=(method or "segmentation")[:64], family=family, version=__version__)
    drawn = hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC
    return [hd.seg.SegmentDescription(index, name, code, code, drawn, algorithm_identification=algorithm) for index, name in names.items()]


def _seed(organ_map: OrganMap, source_uid: str) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(organ_map.labels).tobytes())
    digest.update(repr((sorted(organ_map.names.items()), source_uid, __version__)).encode())
    return digest.hexdigest()


def _uid(seed: str, what: str) -> str:
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[seed, what]))
