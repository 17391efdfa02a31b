"""Studies of a shared bed on disk: one raw folder of several digital mice, an organ map of each one's own, and the sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from tracker import stages
from tracker.digital import write_organs
from tracker.image import Grid
from tracker.mouse import organ_volumes_ml
from tracker.pet.phantom.bed import BedScan, Occupant, bed_grid, occupant_map, write_bed
from tracker.pet.phantom.options import ScanOptions
from tracker.pet.phantom.truth import Degradation
from tracker.qc import QcRow
from tracker.study import Context, Study, contexts, load_study
from tracker.table import Row, read_rows

START = datetime(2026, 3, 3, 10, 0)
# Relative uptake of the organs [1/mL]; no two animals have the same dose, so that a mixed-up pair shows.
UPTAKE = {
    "brain": 1, "heart": 8, "lung_left": 50, "lung_right": 50, "liver": 40, "spleen": 60, "stomach": 2, "gut": 3, "kidney_left": 20,
    "kidney_right": 20, "bladder": 80, "bone": 3, "rest": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mouse:
    """One animal of the bed: dose [Bq] so many hours before the scan, all of it still inside; ``position`` as the sheet has it."""

    name: str
    weight_g: float
    centre_mm: tuple[float, float, float]
    position: str
    dose_bq: float = 4e6
    hours: float = 24.0
    uptake: Mapping[str, float] | None = None


def held(mouse: Mouse) -> dict[str, float]:
    """What each organ holds, as of the dose [Bq]: shares of the dose by uptake and volume."""
    volumes, uptake = organ_volumes_ml(mouse.weight_g), mouse.uptake or UPTAKE
    parts = {organ: uptake.get(organ, 0.0) * volume for organ, volume in volumes.items()}
    return {organ: mouse.dose_bq * part / sum(parts.values()) for organ, part in parts.items()}


def occupant(mouse: Mouse) -> Occupant:
    return Occupant(mouse.weight_g, mouse.centre_mm, START - timedelta(hours=mouse.hours), held(mouse))


# The console was told what it likes: all doses in one, and the weight of nobody.
CONSOLE = ScanOptions(START, START - timedelta(hours=24), dose_bq=99e6, weight_kg=0.1, patient_id="hotel")


def write_bed_study(
    root: Path,
    mice: Sequence[Mouse],
    *,
    view: str = "technician",
    inside: Sequence[Mouse] | None = None,
    options: ScanOptions = CONSOLE,
    how: Degradation | None = None,
    voxel_mm: float = 1.25,
    grid: Grid | None = None,
) -> Path:
    """The study's config. ``inside``: who really lies there, where the sheets say something else; no ``view``: no sheet beds."""
    root.mkdir(parents=True, exist_ok=True)
    there = [occupant(m) for m in (mice if inside is None else inside)]
    grid = grid or bed_grid(there, voxel_mm)
    write_bed(root / "raw/bed", there, grid, BedScan(START, 1200.0, options, how or Degradation(psf_fwhm_mm=1.2)))
    for mouse in mice:
        write_organs(root / f"organs/{mouse.name}.nii.gz", occupant_map(occupant(mouse), grid))

    def sheet(name: str, header: str, rows: Sequence[str]) -> None:
        lines = [header, *rows]
        (root / f"{name}.tsv").write_text("".join("\t".join(line.split()) + "\n" for line in lines), encoding="utf-8")

    sheet("subjects", "subject species body_weight_g", [f"{m.name} mouse {m.weight_g}" for m in mice])
    sheet("doses", "subject dose_time label cells route amount amount_unit", [
        f"{m.name} {(START - timedelta(hours=m.hours)).isoformat()} zr 1e6 iv {m.dose_bq} Bq" for m in mice
    ])  # fmt: skip
    sheet("labels", "label kind nuclide", ["zr radionuclide Zr-89"])
    sheet("acquisitions", "subject session modality path organs", [f"{m.name} d1 pet raw/bed organs/{m.name}.nii.gz" for m in mice])
    sheet("beds", "session modality path position subject view", [f"d1 pet raw/bed {m.position} {m.name} {view}" for m in mice])
    names = ["subjects", "doses", "labels", "acquisitions", *(["beds"] if view else [])]
    config = root / "config.yaml"
    config.write_text(f"study: bed\nsheets: {{{', '.join(f'{n}: {n}.tsv' for n in names)}}}\norgans: {{source: segmentation}}\npet: {{}}\n")
    return config


@dataclass(frozen=True, slots=True)
class Ran:
    """One animal's rows after all stages, and its lines of ``qc/``."""

    rows: list[Row]
    qc: list[QcRow]

    def percent(self) -> dict[str, float | None]:
        """%ID by organ."""
        return {r.organ: r.value for r in self.rows if r.quantity == "injected_percent"}

    def failed(self) -> dict[str, str]:
        return {q.check: q.reason for q in self.qc if q.status == "fail"}


def _no_picture(*_: object) -> None:
    return None


def run(study: Study, subject: str, folder: Path, **changes: object) -> Ran:
    """The stages for one animal, from raw files to %ID; ``changes`` to its context."""
    own: list[Context] = [replace(c, **changes) for c in contexts(study) if c.subject.subject == subject]  # type: ignore[arg-type]
    folder = folder / subject
    folder.mkdir(parents=True)
    qc = [*stages.ingest(own, folder / "manifest.json"), *stages.calibrate(own, folder / "manifest.json", folder / "quantity")]
    qc += stages.organs(own, folder / "quantity", folder / "organs")
    drawing = stages.Drawing(_no_picture, _no_picture)
    qc += stages.quantify(own, (folder / "quantity", folder / "organs"), (folder / "measured", folder / "pictures"), drawing)
    qc += stages.correct(own, folder / "measured", folder / "rows.csv")
    return Ran(read_rows(folder / "rows.csv"), list(qc))


def load(config: Path) -> Study:
    return load_study(config)
