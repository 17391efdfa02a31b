"""The hand-over to PK: files that a modeller's own tool opens with no edit; nothing in them that is not in the table or the sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tracker.errors import Finding, InputError
from tracker.exports.common import MISSING, Code, Handover, handover, number_text, write_table
from tracker.exports.doses import dose_records
from tracker.exports.monolix import write_monolix
from tracker.exports.nonmem import write_nonmem
from tracker.exports.pixi import write_pixi
from tracker.exports.selection import LeftOut, select
from tracker.label import half_life_s
from tracker.study.model import Study
from tracker.table import Row

_LEFT_OUT = ("subject", "session", "modality", "label", "organ", "time_h", "quantity", "reason")


def write_exports(study: Study, rows: Sequence[Row], folder: Path) -> tuple[Finding, ...]:
    """Writes nonmem, monolix, id_map, left_out, nca and pixi_biodistribution ``.csv`` into ``folder`` and returns what to know.

    What is handed over is ``pk.targets``; without any, ``cells_equivalent``, else ``injected_percent``, of all modalities. The
    analysis in ``nca.csv`` takes the targets' quantities, of all organs, subjects and modalities. A target without rows, a row
    left out, a dose without an amount, a curve with repeat doses or with two values at one time is a finding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = select(study, rows)
    doses, dose_findings = dose_records(study, chosen.observations)
    data = handover(study, chosen.observations, doses)
    write_nonmem(folder / "nonmem.csv", data)
    write_monolix(folder / "monolix.csv", data)
    write_id_map(folder / "id_map.csv", data)
    write_left_out(folder / "left_out.csv", chosen.left_out)
    write_pixi(folder / "pixi_biodistribution.csv", study, rows)
    nca_findings = write_analysis(folder / "nca.csv", study, rows)
    counts = (
        f"{len(chosen.observations)} observations and {len(doses)} doses of {len({o.row.subject for o in chosen.observations})} subjects"
    )
    status = "ok" if chosen.observations else "warn"
    return (Finding("pk_exports", status, counts), *chosen.findings, *dose_findings, *nca_findings)


def write_id_map(path: Path, data: Handover) -> None:
    """Writes what each number and name in the PK files stands for: kind, text, number, name (``monolix.csv``), unit."""
    missing = Code("missing", "SDN, SDS or LLOQ not known (nonmem.csv)", MISSING, "")
    header = ("kind", "text", "number", "name", "unit")
    write_table(path, header, ((c.kind, c.text, str(c.number), c.name, c.unit) for c in (*data.codes.values(), missing)))


def write_left_out(path: Path, left_out: Sequence[LeftOut]) -> None:
    """Writes the rows that a target asks for and that the PK files do not have, with the reason."""
    write_table(path, _LEFT_OUT, (_left_out_line(one) for one in left_out))


def _left_out_line(one: LeftOut) -> tuple[str, ...]:
    row = one.row
    time = "" if row.time_h is None else number_text(row.time_h)
    return (row.subject, row.session, row.modality, row.label, row.organ, time, row.quantity, one.reason)


def write_analysis(path: Path, study: Study, rows: Sequence[Row]) -> tuple[Finding, ...]:
    """Writes ``nca.csv``; a curve with two values at one time gets an empty row and a ``fail``."""
    from tracker.nca import DEFAULT_QUANTITIES, NcaRow, analyse, write_nca
    from tracker.nca.points import check_times, curves

    wanted = {t.quantity for t in study.config.pk_targets} or set(DEFAULT_QUANTITIES)
    half_lives = _half_lives(study)
    results: list[NcaRow] = []
    findings: list[Finding] = []
    for curve in curves(row for row in rows if row.quantity in wanted):
        try:
            if curve.key.subject:
                check_times(curve)
            results.append(analyse(curve, half_lives))
        except InputError as error:
            findings.append(Finding("nca_" + error.code, "fail", str(error)))
            results.append(replace(NcaRow(*curve.key, n_points=len(curve.points)), flag=(error.code,)))
    write_nca(path, results)
    return (*findings, *_repeat_doses(study, {r.subject for r in results}), *_not_decay_corrected(study, wanted))


def _half_lives(study: Study) -> dict[str, float]:
    """Half-life [s] by label; none where the table's values are not decay-corrected, so that decay is never put in twice."""
    if not study.config.corrections.decay:
        return {}
    found = {one.label: half_life_s(one) for one in study.labels}
    return {label: half_life for label, half_life in found.items() if half_life is not None}


def _repeat_doses(study: Study, subjects: set[str]) -> list[Finding]:
    times = {s: {d.dose_time for d in study.doses if d.subject == s} for s in subjects}
    repeat = sorted(s for s, t in times.items() if len(t) > 1)
    reason = f"several dose times of {', '.join(repeat)}: areas and half-lives in nca.csv are not those of one dose"
    return [Finding("nca_repeat_doses", "warn", reason)] if repeat else []


def _not_decay_corrected(study: Study, wanted: set[str]) -> list[Finding]:
    if study.config.corrections.decay or "injected_percent" not in wanted:
        return []
    return [Finding("nca_no_decay_correction", "warn", "corrections.decay is off: no residence times in nca.csv")]
