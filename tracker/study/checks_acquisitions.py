"""The acquisitions in the light of the other sheets: which label each measures, its key, and whose it is in a shared bed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from tracker.errors import InputError
from tracker.modality import has_part, modalities, modality
from tracker.study.checks_beds import check_beds
from tracker.study.context import ANATOMY, anatomies
from tracker.study.draft import Draft, Placed, absolute
from tracker.study.near import ask_near, listed
from tracker.study.rows import Acquisition
from tracker.study.sheets import Record


def finish_acquisitions(draft: Draft, source: str, errors: list[InputError]) -> tuple[Acquisition, ...]:
    """The acquisitions with label and key filled in, in the order of the sheet; what is wrong is appended to ``errors``.

    ``source`` is where the config says organ maps come from: with ``segmentation`` every measured scan needs one, or regions, or an anatomy
    scan of its session with organs; with ``propagated`` a scan of the same animal with organs; with ``atlas`` an anatomy scan may be used.
    """
    errors += _modalities(draft) + _shown_in_acquisitions(draft) + check_beds(draft)
    labelled = [Placed(_with_label(one, draft, errors), one.record) for one in draft.acquisitions]
    errors += _duplicates(labelled) + _shared(labelled, draft)
    errors += _without_organs(labelled, draft, source) + _several_anatomies(labelled, draft, source)
    return _with_keys([one.row for one in labelled])


def _modalities(draft: Draft) -> list[InputError]:
    known = [name for one in modalities() for name in one.names]
    errors = []
    for sheet in ("acquisitions", "beds"):
        for record in draft.tables[sheet].records:
            name = record.values.get("modality")
            # An anatomical scan is not measured, so that no modality needs to know it.
            if not isinstance(name, str) or record.values.get("role") == ANATOMY or (sheet == "beds" and _is_anatomy(name, draft)):
                continue
            try:
                modality(name)
            except InputError as e:
                where, do = record.at("modality"), ask_near(name, known)
                errors.append(InputError(e.code, e.what, found=e.found, expected=e.expected, where=where, do=do))
    return errors


def _is_anatomy(name: str, draft: Draft) -> bool:
    return any(r.values.get("modality") == name and r.values.get("role") == ANATOMY for r in draft.tables["acquisitions"].records)


def _shown_in_acquisitions(draft: Draft) -> list[InputError]:
    """Rows of rois and beds whose scan is in no row of acquisitions."""
    scans = draft.tables["acquisitions"].records
    errors = []
    for sheet, columns in (("rois", ("session", "subject")), ("beds", ("session", "modality", "subject"))):
        for record in draft.tables[sheet].records:
            if record.bad or any(_same(record, scan, columns, draft.root) for scan in scans):
                continue
            found = ", ".join(str(record.values[name]) for name in (*columns, "path"))
            known = list(dict.fromkeys(str(s.values["path"]) for s in scans if "path" in s.values))
            what = f"no row of acquisitions has this {', '.join(columns)} and path"
            do = ask_near(str(record.values["path"]), known)
            errors.append(InputError("unknown_acquisition", what, found=found, expected=listed(known), where=record.at("path"), do=do))
    return errors


def _same(record: Record, scan: Record, columns: tuple[str, ...], root: Path) -> bool:
    if any(record.values.get(name) != scan.values.get(name) for name in columns) or "path" not in scan.values:
        return False
    return absolute(root, str(record.values["path"])) == absolute(root, str(scan.values["path"]))


def _with_label(one: Placed[Acquisition], draft: Draft, errors: list[InputError]) -> Acquisition:
    row, record = one.row, one.record
    # A dose row that could not be read may be the very one: its own error comes first.
    if row.role == ANATOMY or not draft.tables["doses"].complete or row.subject not in draft.names("subjects", "subject"):
        return row
    given = list(dict.fromkeys(d.row.label for d in draft.doses if d.row.subject == row.subject))
    if row.role == "followup" and not given:
        what, where = f"a followup of {row.subject}, who was given no dose", record.at("subject")
        do = "add the dose, or give the scan the role baseline or anatomy"
        errors.append(InputError("no_dose", what, expected="a row in doses", where=where, do=do))
    elif row.label and given and row.label not in given and row.label in draft.names("labels", "label"):
        what, where = f"{row.subject} was not given this label", record.at("label")
        do = ask_near(row.label, given)
        errors.append(InputError("label_not_dosed", what, found=repr(row.label), expected=listed(given), where=where, do=do))
    elif not row.label and len(given) == 1:
        return replace(row, label=given[0])
    elif not row.label:
        what, where = "which label does this scan measure?", record.at("label")
        found = f"{row.subject} was given {listed(given) or 'none'}"
        errors.append(InputError("label_missing", what, found=found, expected="a label", where=where, do="fill in the column label"))
    return row


def _duplicates(acquisitions: list[Placed[Acquisition]]) -> list[InputError]:
    first: dict[tuple[object, ...], int] = {}
    errors = []
    for one in acquisitions:
        r = one.row
        key = (r.subject, r.session, r.modality, r.label, r.role, r.path, r.series)
        if key in first:
            what = f"the same subject, session, modality, label, role, path and series as in line {first[key]}"
            found, where = f"{r.subject}, {r.session}, {r.modality}", one.record.at("subject")
            do = "remove one of the two rows"
            errors.append(InputError("duplicate_row", what, found=found, expected="a row of its own", where=where, do=do))
        first.setdefault(key, one.record.line)
    return errors


def _placed_by(one: Placed[Acquisition], draft: Draft, sheet: str, columns: tuple[str, ...]) -> bool:
    return any(_same(r, one.record, columns, draft.root) for r in draft.tables[sheet].records if "path" in r.values)


def _shared(acquisitions: list[Placed[Acquisition]], draft: Draft) -> list[InputError]:
    """Several animals on one path that nothing tells apart: neither beds, nor rois, nor an organ map of each one's own."""
    groups: dict[tuple[object, ...], list[Placed[Acquisition]]] = defaultdict(list)
    for one in acquisitions:
        if one.row.role != ANATOMY:
            groups[(one.row.modality, one.row.path, one.row.series)].append(one)
    errors = []
    for group in groups.values():
        names = list(dict.fromkeys(one.row.subject for one in group))
        for one in group if len(names) > 1 else ():
            others = [o.row.organs for o in group if o.row.subject != one.row.subject]
            own_map = one.row.organs is not None and one.row.organs not in others
            in_bed = _placed_by(one, draft, "beds", ("session", "modality", "subject"))
            if not (own_map or in_bed or _placed_by(one, draft, "rois", ("session", "subject"))):
                what, where = "several animals share this scan and nothing says which is which", one.record.at("path")
                do = "add a row in beds or rois for each animal, or an organ map of each one's own"
                errors.append(InputError("shared_scan", what, found=listed(names), expected="one animal", where=where, do=do))
    return errors


def _located(one: Placed[Acquisition]) -> bool:
    """Whether the scan's modality finds its regions itself."""
    try:
        return has_part(one.row.modality, "locate")
    except InputError:
        return False  # an unknown modality is an error of its own


def _needy(acquisitions: list[Placed[Acquisition]], draft: Draft) -> list[Placed[Acquisition]]:
    """The measured scans without organs or regions of their own."""
    return [
        one
        for one in acquisitions
        if one.row.role != ANATOMY
        and one.row.organs is None
        and not _located(one)
        and not _placed_by(one, draft, "rois", ("session", "subject"))
    ]


def _without_organs(acquisitions: list[Placed[Acquisition]], draft: Draft, source: str) -> list[InputError]:
    """Scans that no organs can come to: none drawn on the session's anatomy nor, where they may be carried, on any scan of the animal."""
    rows = [one.row for one in acquisitions]
    on_anatomy = {(a.subject, a.session) for a in rows if a.role == ANATOMY and a.organs is not None}
    anywhere = {a.subject for a in rows if a.organs is not None}
    errors = []
    for one in _needy(acquisitions, draft):
        found = source == "atlas" or (source == "propagated" and one.row.subject in anywhere)
        if found or (one.row.subject, one.row.session) in on_anatomy:
            continue
        if source == "propagated":
            what, expected = "organs are carried from another scan of the animal, and none was drawn on", "an organ map in one of its rows"
            do = "name an organ map in organs for one scan of the animal at least"
        else:
            what = "nothing says where the organs of this scan are"
            expected = "an organ map, since the config says organs.source: segmentation"
            do = "name the organ map here or on the session's anatomy scan, or give the regions of a planar image in rois"
        errors.append(InputError("organs_missing", what, expected=expected, where=one.record.at("organs"), do=do))
    return errors


def _several_anatomies(acquisitions: list[Placed[Acquisition]], draft: Draft, source: str) -> list[InputError]:
    """Sessions whose anatomy scan is needed and not clear: for a scan without organs, and where organs that others take were drawn."""
    rows = [one.row for one in acquisitions]
    needy = {(one.row.subject, one.row.session) for one in _needy(acquisitions, draft)}
    if source == "propagated":
        needy |= {(a.subject, a.session) for a in rows if a.organs is not None}
    errors = []
    for one in acquisitions:
        session = (one.row.subject, one.row.session)
        several = anatomies(rows, *session) if one.row.role == ANATOMY and session in needy else ()
        with_organs = any(a.organs is not None for a in several)
        if len(several) > 1 and several[1] == one.row and (with_organs or source != "segmentation"):
            found = ", ".join(f"{a.modality} {a.path.name}" for a in several)
            what, do = "a session has several anatomical scans and one is needed", "leave one row, or name organs for one of them alone"
            errors.append(InputError("anatomy_ambiguous", what, found=found, expected="one", where=one.record.at("role"), do=do))
    return errors


def _with_keys(acquisitions: list[Acquisition]) -> tuple[Acquisition, ...]:
    """Keys: the session alone where that is unique for subject and modality, else with the label, else with a number.

    Uniqueness is judged without case, since some file systems do not tell ``A`` from ``a``.
    """
    sessions: dict[tuple[str, ...], list[Acquisition]] = defaultdict(list)
    for row in acquisitions:
        sessions[(row.subject.lower(), row.modality.lower(), row.session.lower())].append(row)
    used: set[tuple[str, ...]] = set()
    keyed = []
    for row in acquisitions:
        scan = (row.subject.lower(), row.modality.lower())
        same = sessions[(*scan, row.session.lower())]
        several_labels = len({one.label.lower() for one in same}) > 1
        base = f"{row.session}_{row.label}" if several_labels and row.label else row.session
        key, number = base, 2
        while (*scan, key.lower()) in used:
            key, number = f"{base}_{number}", number + 1
        used.add((*scan, key.lower()))
        keyed.append(replace(row, key=key))
    return tuple(keyed)
