"""A valid study folder to bend: each test changes one thing and asks what the reader says."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import InputError, StudyErrors
from tracker.study import Study, load_study

CONFIG = """\
study: msc_lung_homing
sheets: {subjects: subjects.tsv, doses: doses.tsv, labels: labels.csv, acquisitions: acquisitions.tsv}
organs: {source: segmentation}
pet: {psf_fwhm_mm: 1.6, spill_over: gtm}
corrections: {decay: true, dilution: true, retention: true, background: baseline}
pk: {targets: [{quantity: cells_viable, modality: joint}]}
"""
SUBJECTS = """\
subject species body_weight_g strain group
007 mouse 25 C57BL/6 treated
NA mouse 22.5 C57BL/6 treated
1E5 rat 310 Lewis control
"""
DOSES = """\
subject dose_time label cells route amount amount_unit assay_time residual_amount residual_time
007 2026-03-04T10:00:00 zr 1e6 intravenous 200 uCi 2026-03-04T09:30:00 5 2026-03-04T10:05:00
NA 2026-03-04T10:10 zr 1000000 intravenous 7.4 MBq - - -
1E5 2026-03-04T10:20 zr 0 intravenous 7400 kBq - - -
"""
LABELS = """\
label,kind,nuclide,dilutes,doubling_time_h,retention_table,amount_per_cell,amount_per_cell_unit,reference
zr,radionuclide,Zr-89,yes,30,retention.csv,,,"Bansal 2015, table 1"
luc,reporter,,no,,,120,photons/s,
"""
RETENTION = "time_h,retained,sd\n0,1,0\n24,0.9,0.03\n168,0.7,\n"
ACQUISITIONS = """\
subject session modality path role label organs
007 d0 pet scans/007d0 baseline - seg/007.nii
007 d1 pet scans/007d1 - - seg/007.nii
NA d1 pet scans/NAd1 followup zr seg/NA.nii
1E5 d1 spect scans/1E5d1 followup zr seg/1E5.nii
1E5 d1 ct scans/ct anatomy - -
"""


def tsv(text: str) -> str:
    """A sheet written with spaces between cells and ``-`` for an empty one."""
    return "\n".join("\t".join("" if c == "-" else c for c in line.split()) for line in text.splitlines()) + "\n"


class Folder:
    """A study folder on disk; `errors` is what the reader says about it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        texts = {"subjects.tsv": tsv(SUBJECTS), "doses.tsv": tsv(DOSES), "labels.csv": LABELS, "acquisitions.tsv": tsv(ACQUISITIONS)}
        for name, text in {**texts, "config.yaml": CONFIG, "retention.csv": RETENTION}.items():
            self.write(name, text)
        for name in ("007d0", "007d1", "NAd1", "1E5d1", "ct"):
            (root / "scans" / name).mkdir(parents=True)
        for name in ("007.nii", "NA.nii", "1E5.nii"):
            self.write(f"seg/{name}", "")

    def write(self, name: str, text: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def sheet(self, name: str, text: str) -> None:
        self.write(name, tsv(text))

    def change(self, name: str, old: str, new: str) -> None:
        """Replaces text in a file; ``old`` must be there, so that a test cannot pass for nothing."""
        before = (self.root / name).read_text(encoding="utf-8")
        if old not in before:
            raise ValueError(f"{old!r} is not in {name}")
        self.write(name, before.replace(old, new, 1))

    def load(self, check_paths: bool = True) -> Study:
        return load_study(self.root / "config.yaml", check_paths=check_paths)

    def errors(self, check_paths: bool = True) -> list[InputError]:
        try:
            self.load(check_paths)
        except StudyErrors as all_of_them:
            return list(all_of_them.errors)
        return []

    def only(self, code: str) -> InputError:
        """The one error that the study has."""
        found = self.errors()
        if [e.code for e in found] != [code]:
            raise AssertionError(f"expected one {code}, got:\n" + "\n".join(str(e) for e in found))
        return found[0]

    def with_code(self, code: str) -> list[InputError]:
        return [e for e in self.errors() if e.code == code]


def says(error: InputError, *parts: str) -> bool:
    """Whether the message has all these parts; a failure shows the message."""
    missing = [p for p in parts if p not in str(error)]
    if missing:
        raise AssertionError(f"{missing} not in: {error}")
    return True
