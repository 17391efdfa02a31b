"""``pk/nonmem.csv``: every item a number, ``$DATA nonmem.csv IGNORE=@``."""

from __future__ import annotations

from pathlib import Path

from tracker.exports.common import MISSING, Handover, number_text, write_table
from tracker.exports.doses import DoseRecord
from tracker.exports.selection import Observation

COLUMNS = (
    *("ID", "TIME", "AMT", "DV", "MDV", "EVID", "CMT", "DVID", "CENS", "LLOQ", "SDN", "SDS"),
    *("BW", "GROUP", "LABEL", "MODAL", "QUANT"),
)


def write_nonmem(path: Path, data: Handover) -> None:
    """Writes one line a dose (EVID 1, MDV 1, DV 0) and an observation (EVID 0), by ID, then time, doses first.

    IGNORE=@ skips the header, since it starts with a letter. Texts are numbers of ``id_map.csv``. Below the limit DV = LLOQ and
    CENS = 1; above it DV is the upper limit and CENS = -1. A deviation or limit that is not known is -99, never ``.`` or 0.
    BW [g] is the subject's. LABEL, MODAL, QUANT and DVID are 0 on a dose.
    """
    lines = [_dose(data, d) for d in data.doses] + [_observation(data, o) for o in data.observations]
    dvid, evid = COLUMNS.index("DVID"), COLUMNS.index("EVID")
    lines.sort(key=lambda line: (line[0], line[1], -line[evid], line[dvid]))
    write_table(path, COLUMNS, ([number_text(v) for v in line] for line in lines))


def _dose(data: Handover, dose: DoseRecord) -> tuple[float, ...]:
    cmt = data.codes["cmt", dose.into].number
    number, *covariates = _subject(data, dose.subject)
    return (number, dose.time_h, dose.amount, 0, 1, 1, cmt, 0, 0, MISSING, MISSING, MISSING, *covariates, 0, 0, 0)


def _observation(data: Handover, one: Observation) -> tuple[float, ...]:
    row = one.row
    number, *covariates = _subject(data, row.subject)
    where = (data.codes["cmt", row.organ].number, data.dvid(row).number)
    known = [MISSING if v is None else v for v in (row.lloq, row.sd_noise, row.sd_scale)]
    what = [data.codes[key].number for key in (("label", row.label), ("modality", row.modality), ("quantity", row.quantity))]
    return (number, one.time_h, 0, one.value, 0, 0, *where, one.cens, *known, *covariates, *what)


def _subject(data: Handover, subject: str) -> tuple[float, float, float]:
    """Number, body weight [g] and group number of a subject."""
    found = data.subjects[subject]
    return data.codes["subject", subject].number, found.body_weight_g, data.codes["group", found.group].number
