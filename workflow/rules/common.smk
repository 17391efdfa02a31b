"""The study that is run, and what a job is told of it. Parsed again in every cluster job: it stays cheap."""

import os
import sys
from pathlib import Path

# A job works on one scan at a time, and jobs run side by side: threads of matrix products would fight over the same processors.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The repository: this file is in its workflow/rules/.
REPOSITORY = Path(str(workflow.current_basedir)).parents[1]

from snakemake.exceptions import WorkflowError

from tracker.errors import StudyErrors
from tracker.modality import modalities, modality
from tracker.provenance import code_digest, fingerprint
from tracker.study import atlas_files, contexts, controls_of, files_of, load_study, study_of
from tracker.transfer import encode


def config_path():
    """The study's config: --configfile, else config.yaml of the working directory, else the demo study."""
    named = [Path(p) for p in workflow.configfiles]
    if len(named) > 1:
        raise WorkflowError("one --configfile is expected: a config holds one study")
    if workflow.config_settings.config:
        raise WorkflowError("--config is not read: write the key into the study's config.yaml, so that the study says what was done")
    here = [Path("config.yaml"), REPOSITORY / "config" / "config.yaml"]
    return (named or [p for p in here if p.is_file()])[0].resolve()


def read_study():
    """The checked study; all that is wrong with it is shown together, before any job starts."""
    try:
        return load_study(config_path())
    except StudyErrors as errors:
        raise WorkflowError(str(errors))


STUDY = read_study()
RESULTS = f"results/{STUDY.config.study}"
STAGED = RESULTS + "/stages/{modality}/{subject}"
CONTEXTS = contexts(STUDY)
PAIRS = sorted({(c.acquisition.modality, c.acquisition.subject) for c in CONTEXTS})
STAGES = ("ingest", "calibrate", "organs", "quantify", "correct")


wildcard_constraints:
    modality="|".join(name for m in modalities() for name in m.names),
    subject="[0-9A-Za-z+]+",


def own(wildcards):
    """The contexts of a job's scans."""
    return [c for c in CONTEXTS if (c.acquisition.modality, c.acquisition.subject) == (wildcards.modality, wildcards.subject)]


def told(wildcards):
    """What a job is told of its scans, as text: an edited cell changes it and reruns that animal alone."""
    return encode(own(wildcards))


def controls(wildcards):
    """The baseline scans of other subjects that a job's scans may be measured against."""
    return controls_of(CONTEXTS, wildcards.subject, wildcards.modality)


def control_subjects(wildcards):
    """Whose they are, each once."""
    return list(dict.fromkeys(c.acquisition.subject for c in controls(wildcards)))


def control_tables(wildcards):
    """The measured tables of those subjects."""
    return [f"{RESULTS}/stages/{wildcards.modality}/{s}/measured" for s in control_subjects(wildcards)]


def told_study(wildcards):
    """The study of one subject alone, as text."""
    return encode(study_of(STUDY, wildcards.subject))


def raw(wildcards):
    """A digest of the names, sizes and times of all files that a job may read: scans, organs, anatomy, other sessions, the atlas."""
    if STUDY.config.phantom:
        # A digital study's files are made by the workflow, but for its atlas.
        return f"phantom {fingerprint(atlas_files(STUDY.config.organs))}"
    return fingerprint(dict.fromkeys(p for c in own(wildcards) for p in files_of(c)))


def code(wildcards):
    """A digest of the library's shared files and this modality's folder."""
    return code_digest(modality(wildcards.modality).package)


def phantom_code(wildcards):
    """The same with what makes digital studies."""
    return code_digest(modality(wildcards.modality).package, phantoms=True)


def of_all(name):
    """A file of every subject in every modality."""
    return [f"{RESULTS}/stages/{m}/{s}/{name}" for m, s in PAIRS]


def tell_set_aside():
    """Names what was set aside at the end of a run, which then ends with exit code 3."""
    from tracker.setaside import set_aside_text

    text = set_aside_text(Path(RESULTS) / "qc" / "checks.csv")
    if text:
        print(text, file=sys.stderr)
        sys.exit(3)
