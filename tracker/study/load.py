"""A study folder → `Study`: config and sheets, typed, checked against one another, all errors at once."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import InputError, StudyErrors
from tracker.modality import modalities
from tracker.study.checks import check_sheets
from tracker.study.checks_acquisitions import finish_acquisitions
from tracker.study.columns import SHEETS
from tracker.study.config import build_config, missing_constants, read_document, section
from tracker.study.draft import Draft, absolute, make_draft
from tracker.study.model import Study
from tracker.study.near import ask_near, listed
from tracker.study.paths import check_paths_exist
from tracker.study.rows import Acquisition
from tracker.study.sheets import Table, read_sheet
from tracker.study.yaml_strict import Document


def load_study(config_path: Path, *, check_paths: bool = True) -> Study:
    """The study of a ``config.yaml`` and its sheets.

    Amounts are in Bq or ug, paths absolute, labels and keys of acquisitions filled in, defaults of the config too.
    ``check_paths``: scans and organ maps must be there; not asked of a digital study (``phantom:``), whose files are made later.
    Raises `StudyErrors` with one `InputError` for everything that is wrong: file, line, column, found, expected, nearest name.
    A study that loads is well formed; it does not mean that its raw files can be read.
    """
    errors: list[InputError] = []
    path = absolute(Path.cwd(), str(config_path))
    root = path.parent
    try:
        document = read_document(path, errors)
    except InputError as error:
        raise StudyErrors([*errors, error]) from None
    names = {n: p for n, p in section(document, "sheets").items() if n in SHEETS and isinstance(p, str) and p}
    tables = {n: read_sheet(absolute(root, names[n]), names[n], s, errors) if n in names else Table(n) for n, s in SHEETS.items()}
    draft = make_draft(root, tables, errors)
    errors += check_sheets(draft)
    acquisitions = finish_acquisitions(draft, section(document, "organs").get("source", "segmentation"), errors)
    errors += missing_constants(document, _packages(acquisitions)) + _target_subjects(document, draft)
    if check_paths and "phantom" not in document.value:
        errors += check_paths_exist(draft)
    if errors:
        raise StudyErrors(errors)
    return _study(path, document, draft, acquisitions, {n: absolute(root, p) for n, p in names.items()})


def _packages(acquisitions: tuple[Acquisition, ...]) -> set[str]:
    used = {row.modality for row in acquisitions}
    return {one.package for one in modalities() if used.intersection(one.names)}


def _target_subjects(document: Document, draft: Draft) -> list[InputError]:
    known = draft.names("subjects", "subject")
    targets = section(document, "pk").get("targets")
    errors = []
    for number, target in enumerate(targets if isinstance(targets, list) else []):
        subjects = target.get("subjects") if isinstance(target, dict) else None
        for place, name in enumerate(subjects if isinstance(subjects, list) else []):
            if known and isinstance(name, str) and name not in known:
                where, do = document.at(("pk", "targets", number, "subjects", place)), ask_near(name, known)
                what = "no row of subjects has this subject"
                errors.append(InputError("unknown_subject", what, found=repr(name), expected=listed(known), where=where, do=do))
    return errors


def _study(
    config_path: Path, document: Document, draft: Draft, acquisitions: tuple[Acquisition, ...], sheet_paths: dict[str, Path]
) -> Study:
    return Study(
        config=build_config(document, draft.root),
        config_path=config_path,
        root=draft.root,
        subjects=tuple(one.row for one in draft.subjects),
        doses=tuple(one.row for one in draft.doses),
        labels=tuple(one.row for one in draft.labels),
        acquisitions=acquisitions,
        measurements=tuple(one.row for one in draft.measurements),
        rois=tuple(one.row for one in draft.rois),
        beds=tuple(one.row for one in draft.beds),
        sheet_paths=sheet_paths,
    )
