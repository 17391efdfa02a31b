"""``pk/monolix.csv``: one header line, texts as names; for Monolix, PKanalix and nlmixr2."""

from __future__ import annotations

from pathlib import Path

from tracker.exports.common import Handover, number_text, write_table
from tracker.exports.doses import DoseRecord
from tracker.exports.selection import Observation

COLUMNS = (
    *("ID", "TIME", "AMT", "ADM", "EVID", "DV", "DVID", "CENS", "LIMIT", "SD_NOISE", "SD_SCALE"),
    *("WEIGHT", "GROUP", "LABEL", "MODALITY", "QUANTITY", "ORGAN"),
)
NONE = "."
_NO_GROUP = "none"  # a covariate cannot be "."


def write_monolix(path: Path, data: Handover) -> None:
    """Writes one line a dose and an observation, by ID, then time, doses first.

    CENS 1: DV is the lower limit and LIMIT 0; CENS -1: DV is the upper limit. ``.`` is an empty cell. ID is the subject's own
    text; ADM numbers the ways of dosing, DVID names organ (and quantity) as in ``id_map.csv``. WEIGHT [g].
    """
    doses = [(d.subject, d.time_h, 0, "", _dose(data, d)) for d in data.doses]
    seen = [(o.row.subject, o.time_h, 1, data.dvid(o.row).name, _observation(data, o)) for o in data.observations]
    write_table(path, COLUMNS, (line for *_, line in sorted(doses + seen, key=lambda one: one[:4])))


def _dose(data: Handover, dose: DoseRecord) -> list[str]:
    given = [number_text(dose.time_h), number_text(dose.amount), str(data.codes["cmt", dose.into].number), "1"]
    return [dose.subject, *given, *[NONE] * 6, *_covariates(data, dose.subject), *[NONE] * 4]


def _observation(data: Handover, one: Observation) -> list[str]:
    row = one.row
    seen = [number_text(one.value), data.dvid(row).name, str(one.cens), "0" if one.cens == 1 else NONE]
    deviations = [NONE if v is None else number_text(v) for v in (row.sd_noise, row.sd_scale)]
    keys = (("label", row.label), ("modality", row.modality), ("quantity", row.quantity), ("cmt", row.organ))
    names = [data.codes[key].name or NONE for key in keys]
    return [row.subject, number_text(one.time_h), NONE, NONE, "0", *seen, *deviations, *_covariates(data, row.subject), *names]


def _covariates(data: Handover, subject: str) -> list[str]:
    found = data.subjects[subject]
    return [number_text(found.body_weight_g), data.codes["group", found.group].name or _NO_GROUP]
