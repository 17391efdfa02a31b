"""A digital study: from its sheets, the click folders of every bioluminescence image, and the truth to compare the results with.

Only living cells shine. All animals whose rows name one path lie in one image, left to right as the sheet beds says; each of their jobs
writes the same bytes, so that it does not matter which is first. An image needs the rows of all its animals.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tracker.bli.phantom.click import Click, write_click, write_sequence
from tracker.bli.phantom.luciferin import mean_brightness
from tracker.bli.phantom.lying import (
    Lying,
    bli_phantom,
    camera_of,
    image_starts,
    lying_animal,
    mates,
    place_mm,
    scan_length_s,
)
from tracker.bli.phantom.options import Camera, ClickOptions, VendorRoi
from tracker.bli.phantom.pose import image_box, posed_labels
from tracker.bli.phantom.scene import Mouse, brightness, radiance, view_of
from tracker.digital import digital_study, generator, make_room, scan_hours, scan_start, write_organs, write_truth
from tracker.errors import InputError
from tracker.study.model import Study
from tracker.study.rows import Acquisition


@dataclass(frozen=True, slots=True)
class TruthRow:
    """What one organ of one scan really holds, at the middle of all its images; volumes are those of the voxels.

    Named as the quantities of the result's table: ``label_amount`` the light that its living cells emit when luciferin is at its peak
    [photons/s], in all directions and before any tissue; ``cells_viable`` those cells, ``injected_percent`` in % of the cells given.
    """

    subject: str
    group: str
    session: str
    modality: str
    organ: str
    time_h: float
    volume_ml: float
    label_amount: float
    injected_percent: float
    cells_viable: float


def _rois(lying: Sequence[Lying], camera: Camera) -> tuple[VendorRoi, ...]:
    """A rectangle about each animal."""
    view = view_of(camera)
    mm = view.fov_mm / view.columns
    found = []
    for n, one in enumerate(lying, start=1):
        rows, columns = image_box(one.mouse.body_weight_g, one.mouse.pose, view)
        x, y = ((s.start + s.stop) / 2 * mm for s in (columns, rows))
        found.append(VendorRoi(x, y, (columns.stop - columns.start) * mm, (rows.stop - rows.start) * mm, "Square", label=f"ROI {n}"))
    return tuple(found)


def _clicks(study: Study, lying: Sequence[Lying]) -> list[Click]:
    """All images: what each animal shows through a filter is worked out once, and follows its own luciferin from image to image."""
    digital, phantom = digital_study(study), bli_phantom(study)
    first = lying[0].acquisition
    rng = generator(digital, first.subject, first.session, first.modality, "noise")
    start = _start(study, lying)
    plain = camera_of(phantom, 0)
    shown = {name: [_bright_and_own(one.mouse, plain, name, phantom.voxel_mm) for one in lying] for name in phantom.emissions}
    told = ClickOptions(corrected=phantom.corrected, rois=_rois(lying, plain) if phantom.vendor_rois else (), experiment=study.config.study)
    clicks = []
    for name, later_s in image_starts(phantom):
        image = np.zeros_like(shown[name][0][0])
        for one, (cells, own) in zip(lying, shown[name], strict=True):
            image += cells * mean_brightness(one.luciferin, one.started_min + later_s / 60.0, phantom.exposure_s / 60.0) + own
        options = replace(told, start=start + timedelta(seconds=later_s), emission=name)
        clicks.append(Click(image, camera_of(phantom, int(rng.integers(2**31))), options))
    return clicks


def _start(study: Study, lying: Sequence[Lying]) -> datetime:
    """When the first image is taken: the same moment for all animals in it."""
    digital = digital_study(study)
    starts = {scan_start(one.animal, scan_hours(study, digital, one.acquisition)) for one in lying}
    if len(starts) > 1:
        what = "animals of one image must have been given their cells at one time"
        raise InputError("phantom_sheets", what, found=sorted(map(str, starts)), where=lying[0].acquisition.path.name)
    return starts.pop()


def _bright_and_own(mouse: Mouse, camera: Camera, emission: str, voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Radiance of an animal's cells at their brightest, and of its skin alone."""
    return (
        radiance([replace(mouse, glow=0.0)], camera, emission, voxel_mm),
        radiance([replace(mouse, flux_ph_per_s={}, deposits=())], camera, emission, voxel_mm),
    )


def _settle(made: Path, folder: Path) -> None:
    """Moves the files of ``made`` to ``folder`` one by one, those that are there already with the same bytes left alone.

    Animals of one image are jobs of their own and may run at the same time: each finds or leaves a whole file, never half of one.
    """
    files = [p.relative_to(made) for p in sorted(made.rglob("*")) if p.is_file()]
    for file in files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target.is_file() and target.read_bytes() == (made / file).read_bytes()):
            os.replace(made / file, target)
    for old in [p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder) not in files]:
        old.unlink(missing_ok=True)
    shutil.rmtree(made)


def _truth_rows(one: Lying, time_h: float) -> list[TruthRow]:
    who = (one.animal.subject.subject, one.animal.subject.group, one.acquisition.session, one.acquisition.modality)
    rows = zip(one.contents.names, one.contents.volume_ml.tolist(), one.contents.cells.tolist(), strict=True)
    light = one.mouse.flux_ph_per_s
    return [TruthRow(*who, n, time_h, v, light[n], 100.0 * cells / one.animal.dose.cells, cells) for n, v, cells in rows]


def write_scan_raw(study: Study, acquisition: Acquisition) -> list[TruthRow]:
    """Writes the image of one acquisition with all animals in it, and the animal's organ map; gives the animal's own truth.

    A click folder, or a sequence where there is more than one image. The organ map is in the camera's frame (`pose.posed_labels`).
    Raises InputError where the sheets or ``phantom:`` do not suffice, or where files that are not the phantom's are in the way.
    """
    digital, phantom = digital_study(study), bli_phantom(study)
    rows = mates(study, acquisition)
    places = place_mm(study, rows)
    lying = [lying_animal(study, a, places[a.subject]) for a in rows]
    own = next(one for one in lying if one.acquisition.subject == acquisition.subject)
    folder = acquisition.path
    if not folder.with_name(folder.name + ".phantom").is_file():
        make_room(folder, acquisition.organs)
    made = folder.with_name(f".{folder.name}_{acquisition.subject}") / folder.name
    clicks, bright = _clicks(study, lying), brightness([one.mouse for one in lying], camera_of(phantom, 0))
    if len(clicks) == 1:
        write_click(made, clicks[0], bright)
    else:
        write_sequence(made, clicks, bright)
    _settle(made, folder)
    made.parent.rmdir()
    if acquisition.organs is not None:
        write_organs(acquisition.organs, posed_labels(own.mouse.body_weight_g, own.mouse.pose, digital.voxel_mm))
    return _truth_rows(own, scan_hours(study, digital, acquisition) + scan_length_s(phantom) / 7200.0)


def write_animal_raw(study: Study, modality: str, subject: str, truth: Path) -> None:
    """Writes the click folders of one animal's images, and what is really there to ``truth`` (CSV)."""
    own = [a for a in study.acquisitions if (a.modality, a.subject) == (modality, subject)]
    write_truth(truth, TruthRow, [row for a in own for row in write_scan_raw(study, a)])


def write_study_raw(study: Study) -> Path:
    """Writes the click folders of all bioluminescence rows, and ``phantom_truth_bli.csv`` beside the config; its path.

    The same seed gives the same bytes.
    """
    path = study.root / "phantom_truth_bli.csv"
    write_truth(path, TruthRow, [row for a in study.acquisitions if a.modality == "bli" for row in write_scan_raw(study, a)])
    return path
