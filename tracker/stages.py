"""The stages of the flow for one subject in one modality: each scan by itself, so that a bad one is set aside and the rest goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity
from tracker.modality import has_part, part
from tracker.provenance import RawFile, raw_files
from tracker.qc import QcRow
from tracker.study.context import files_of
from tracker.study.model import Context
from tracker.study.rows import Acquisition
from tracker.table import Row, read_rows, write_rows

if TYPE_CHECKING:
    from tracker.quantify import OrganValue, Quantified

log = logging.getLogger(__name__)
Work = Callable[[Context], Sequence[Finding]]
# Ends the name of a scan's second table: its organs with spill-over undone.
_UNMIXED = "_unmixed.csv"
Controls = tuple[Sequence[Context], Mapping[str, Path]]


def _no_picture(*_: object) -> None:
    return


@dataclass(frozen=True, slots=True)
class Drawing:
    """What makes pictures: of ``one`` scan (file, quantity, organs, title), of an animal's scans ``together``, of each of a scan's
    ``organs`` (as ``one``), of a scan with spill-over ``undone`` (file, quantity, the image without it, organs, title), and of images
    ``compared`` in pairs, as measured and as expected (file, names and images, title, unit).

    What a person looks at is not this file's business.
    """

    one: Callable[[Path, Quantity, OrganMap, str], None]
    together: Callable[[Path, Sequence[tuple[str, Quantity, OrganMap]], str], None]
    organs: Callable[[Path, Quantity, OrganMap, str], None] = _no_picture
    undone: Callable[[Path, Quantity, Any, OrganMap, str], None] = _no_picture
    compared: Callable[[Path, Sequence[tuple[str, Any]], str, str], None] = _no_picture


def _qc(context: Context, stage: str, finding: Finding) -> QcRow:
    scan = context.acquisition
    reason = finding.reason
    for path in files_of(context):
        # The report goes to other people: where the lab keeps its files stays out of it.
        reason = reason.replace(f"{path.parent}/", "")
    return QcRow(context.study, scan.subject, scan.session, scan.modality, stage, finding.check, finding.status, reason)


def _one(context: Context, work: Work) -> Sequence[Finding]:
    try:
        return work(context)
    except InputError as error:
        log.warning("%s set aside: %s", context.acquisition.key, error)
        return (Finding(error.code, "fail", str(error)),)
    except PermissionError as error:
        log.warning("%s set aside: %s", context.acquisition.key, error)
        name = Path(error.filename).name if error.filename else "a file"
        return (Finding("unreadable_file", "fail", f"unreadable_file: {name} may not be read; do: give yourself leave to read it"),)
    except Exception as error:
        # An unforeseen fault in one scan must not stop a study of hundreds: it is set aside like a bad input, with its trace in the log.
        log.exception("%s set aside by an unforeseen fault", context.acquisition.key)
        return (Finding("internal_error", "fail", f"{type(error).__name__}: {error}; please report this with the job's log"),)


def each_scan(contexts: Sequence[Context], stage: str, work: Work) -> tuple[QcRow, ...]:
    """Runs ``work`` for every scan and gives its findings as rows of ``qc/``; a scan that raises is set aside with a ``fail``."""
    return tuple(_qc(c, stage, finding) for c in contexts for finding in _one(c, work))


def _present(contexts: Sequence[Context], folder: Path, ending: str) -> list[Context]:
    """The scans that an earlier stage left something of; the others were set aside there."""
    return [c for c in contexts if (folder / f"{c.acquisition.key}{ending}").exists()]


def _name(context: Context) -> str:
    """What a scan's files are listed under."""
    scan = context.acquisition
    return f"{scan.subject}/{scan.key}/{scan.modality}"


def ingest(contexts: Sequence[Context], manifest: Path) -> tuple[QcRow, ...]:
    """Writes the SHA-256 of every file that these scans are measured with as JSON, and says how many raw files there are."""
    found: list[RawFile] = []

    def work(context: Context) -> Sequence[Finding]:
        scan = context.acquisition
        files = raw_files(_name(context), scan.path)
        if not files:
            raise InputError("no_files", "there is no file here", found="an empty folder", expected="the scan's raw files", where=scan.path)
        found.extend(files)
        # What organs come from is an input as well: the scan's own map, else an anatomy scan, another session's, the atlas.
        for path in files_of(context)[1:] if scan.organs is None else (scan.organs,):
            found.extend(raw_files(f"{_name(context)}/organs", path))
        return (Finding("raw_files", "ok", f"{len(files)} file(s), {sum(f.bytes for f in files)} bytes"),)

    rows = each_scan(contexts, "ingest", work)
    manifest.write_text(json.dumps([asdict(f) for f in found], indent=0), encoding="utf-8")
    return rows


def calibrate(contexts: Sequence[Context], manifest: Path, folder: Path) -> tuple[QcRow, ...]:
    """Reads and calibrates each scan of the manifest; writes its `Quantity` into ``folder`` as ``<key>.nii`` with its JSON."""
    from tracker.beds import split_bed
    from tracker.nifti import write_quantity

    folder.mkdir(parents=True, exist_ok=True)

    def work(context: Context) -> Sequence[Finding]:
        scan = context.acquisition
        image = part(scan.modality, "read").read(scan.path, scan.series, context)
        quantity = part(scan.modality, "calibrate").calibrate(image, context)
        if context.beds and min(quantity.grid.shape) > 1:
            # A planar image is told apart by its regions.
            quantity = split_bed(image, quantity, context)
        write_quantity(folder / f"{scan.key}.nii", quantity)
        return tuple(quantity.findings)

    listed = {file["scan"] for file in json.loads(manifest.read_text(encoding="utf-8"))}
    # What ingest set aside must not come back with the files that could be read.
    return each_scan([c for c in contexts if _name(c) in listed], "calibrate", work)


def organs(contexts: Sequence[Context], quantities: Path, folder: Path) -> tuple[QcRow, ...]:
    """Brings each scan's organ map to the scan's grid, its own or one that is carried to it; writes it into ``folder`` as ``<key>.nii``."""
    from tracker.carry import organs_of
    from tracker.nifti import read_quantity, write_organ_map

    folder.mkdir(parents=True, exist_ok=True)

    def work(context: Context) -> Sequence[Finding]:
        scan, quantity = context.acquisition, read_quantity(quantities / f"{context.acquisition.key}.nii")
        planar = has_part(scan.modality, "locate")
        organ_map = part(scan.modality, "locate").locate(quantity, context) if planar else organs_of(context, quantity, quantities)
        write_organ_map(folder / f"{scan.key}.nii", organ_map)
        return organ_map.findings

    return each_scan(_present(contexts, quantities, ".nii"), "organs", work)


def _measure(quantity: Quantity, organ_map: OrganMap, context: Context, ceilings: Mapping[str, float]) -> Quantified:
    """The rows of one scan: what all modalities share, and what this one measures by a file ``measure`` of its own, if it has one."""
    from tracker.quantify import Beside, Quantified, planar_rows
    from tracker.quantify import quantify as measure

    values: Sequence[OrganValue] = ()
    findings: Sequence[Finding] = ()
    if has_part(context.acquisition.modality, "measure"):
        values, findings = part(context.acquisition.modality, "measure").measure(quantity, organ_map, context)
    if organ_map.shares:
        # Regions of a planar image have areas and may overlap: nothing of it is read by voxels.
        return Quantified(planar_rows(quantity, organ_map, context, values), tuple(findings))
    result = measure(quantity, organ_map, context, Beside(ceilings, values))
    return replace(result, findings=(*result.findings, *findings))


def quantify(contexts: Sequence[Context], folders: tuple[Path, Path], outputs: tuple[Path, Path], drawing: Drawing) -> tuple[QcRow, ...]:
    """Measures organs in each scan. ``folders`` are the quantities' and the organ maps'; ``outputs`` take a table and a picture a scan.

    Scans before the dose come first: what their organs could have shown bounds those that show nothing later.
    """
    from tracker.nifti import read_organ_map, read_quantity
    from tracker.quantify import organ_ceilings

    tables, pictures = outputs
    for folder in outputs:
        folder.mkdir(parents=True, exist_ok=True)
    ceilings: dict[str, float] = {}
    seen: list[tuple[Context, Quantity, OrganMap]] = []

    def work(context: Context) -> Sequence[Finding]:
        scan = context.acquisition
        quantity, organ_map = read_quantity(folders[0] / f"{scan.key}.nii"), read_organ_map(folders[1] / f"{scan.key}.nii")
        result = _measure(quantity, organ_map, context, ceilings if scan.role == "followup" else {})
        if scan.role == "baseline" and not organ_map.shares:
            ceilings.update(organ_ceilings(quantity, organ_map))
        picture, title = pictures / f"{scan.modality}_{scan.subject}_{scan.key}.png", f"{scan.subject}, {scan.session}, {scan.modality}"
        # Before any table is written: a scan whose spill-over cannot be undone as asked for is set aside, not handed on without.
        undone = _undo(quantity, organ_map, context, (result.rows, tables / f"{scan.key}{_UNMIXED}"), (drawing, picture, title))
        write_rows(tables / f"{scan.key}.csv", result.rows, digits=17)
        drawing.one(picture, quantity, organ_map, title)
        if min(quantity.grid.shape) > 1:
            # A planar image has no slices.
            drawing.organs(picture.with_stem(f"{picture.stem}_organs"), quantity, organ_map, title)
        seen.append((context, quantity, organ_map))
        return (*result.findings, *undone)

    present = sorted(_present(contexts, folders[1], ".nii"), key=lambda c: c.acquisition.role != "baseline")
    rows = each_scan(present, "quantify", work)
    _draw_together(seen, pictures, drawing)
    return rows


def _undo(
    quantity: Quantity, organ_map: OrganMap, context: Context, measured: tuple[Sequence[Row], Path], shown: tuple[Drawing, Path, str]
) -> Sequence[Finding]:
    """Writes the scan's organs with spill-over undone, and a picture of it: of a blur for all modalities, else the modality's ``unmix``."""
    from tracker.quantify import planar_rows, unmixed_rows, wants_unmixing
    from tracker.spillover import rbv_image

    (rows, table), (drawing, picture, title) = measured, shown
    if quantity.kind == "concentration" and wants_unmixing(context):
        unmixing = unmixed_rows(quantity, organ_map, rows, context)
        write_rows(table, unmixing.rows, digits=17)
        without = rbv_image(quantity.values[0], organ_map.labels, unmixing.means, unmixing.spread)
        drawing.undone(picture.with_stem(f"{picture.stem}_spill_over"), quantity, without, organ_map, title)
        return unmixing.findings
    if has_part(context.acquisition.modality, "unmix"):
        own = part(context.acquisition.modality, "unmix").unmix(quantity, organ_map, context)
        if own.values:
            write_rows(table, planar_rows(quantity, organ_map, context, own.values), digits=17)
        if own.pictures:
            drawing.compared(picture.with_stem(f"{picture.stem}_expected"), own.pictures, f"{title}: measured and expected", quantity.unit)
        return tuple(own.findings)
    return ()


def export_organs(contexts: Sequence[Context], organ_maps: Path, folder: Path) -> tuple[QcRow, ...]:
    """Writes each scan's organ map for other programs: ``<key>.nii.gz`` with a TSV, and ``<key>.dcm`` (DICOM SEG) if asked for."""
    from tracker.nifti import read_organ_map
    from tracker.organs.write import write_map
    from tracker.organs.write_seg import write_seg

    folder.mkdir(parents=True, exist_ok=True)

    def work(context: Context) -> Sequence[Finding]:
        scan, organ_map = context.acquisition, read_organ_map(organ_maps / f"{context.acquisition.key}.nii")
        write_map(folder / f"{scan.key}.nii.gz", organ_map)
        return write_seg(folder / f"{scan.key}.dcm", organ_map, scan.path, scan.series) if context.organs.dicom_seg else ()

    return each_scan(_present(contexts, organ_maps, ".nii"), "quantify", work)


def _draw_together(seen: Sequence[tuple[Context, Quantity, OrganMap]], pictures: Path, drawing: Drawing) -> None:
    """One picture of a subject's rates before and after the dose, where it has both: the change is what a person looks for."""
    rates = [one for one in seen if one[1].kind == "relaxation_rate"]
    roles = {context.acquisition.role for context, _, _ in rates}
    if not {"baseline", "followup"} <= roles:
        return
    scan = rates[0][0].acquisition
    scans = [(context.acquisition.session, quantity, organ_map) for context, quantity, organ_map in rates]
    scans.sort(key=lambda one: one[1].times.origin)
    picture = pictures / f"{scan.modality}_{scan.subject}_before_after.png"
    drawing.together(picture, scans, f"{scan.subject}, {scan.modality} before and after the dose")


def correct(contexts: Sequence[Context], tables: Path, rows: Path, controls: Controls = ((), {})) -> tuple[QcRow, ...]:
    """Corrects each scan's rows for background and for what happens to its label; writes measured and derived rows as one table.

    ``controls`` are scans of other animals without label: their contexts, and by animal the folder of their tables.
    """
    from tracker.background import Before, with_unmixed
    from tracker.correct import correct as follow

    corrected: list[Row] = []
    others = _control_rows(*controls)

    def work(context: Context) -> Sequence[Finding]:
        scan = context.acquisition
        own = [with_unmixed(*_tables(tables, c)) for c in present if _is_before(c, scan)]
        measured, unmixed = _tables(tables, context)
        result = follow(measured, context, Before(own, others, unmixed))
        corrected.extend(result.rows)
        return result.findings

    present = _present(contexts, tables, ".csv")
    found = each_scan(present, "correct", work)
    write_rows(rows, corrected, digits=17)
    return found


def _is_before(context: Context, scan: Acquisition) -> bool:
    return context.acquisition.role == "baseline" and context.acquisition.label == scan.label


def _tables(folder: Path, context: Context) -> tuple[list[Row], list[Row]]:
    """A scan's rows as measured, and those with spill-over undone, if that was asked for."""
    unmixed = folder / f"{context.acquisition.key}{_UNMIXED}"
    return read_rows(folder / f"{context.acquisition.key}.csv"), read_rows(unmixed) if unmixed.exists() else []


def _control_rows(contexts: Sequence[Context], folders: Mapping[str, Path]) -> dict[str, list[Row]]:
    """By animal, the rows of its scans without label; of an animal with several, those of the first that was measured."""
    from tracker.background import with_unmixed

    found: dict[str, list[Row]] = {}
    for context in contexts:
        path = folders[context.acquisition.subject] / f"{context.acquisition.key}.csv"
        if path.exists() and context.acquisition.subject not in found:
            found[context.acquisition.subject] = with_unmixed(*_tables(path.parent, context))
    return found
