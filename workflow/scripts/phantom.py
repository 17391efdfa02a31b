"""Rule phantom: the raw files of a digital study and their truth."""

import logging
import shutil
from pathlib import Path

from tracker.modality import modality, part
from tracker.study import Study
from tracker.transfer import decode

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
study = decode(Study, snakemake.params.study)
used = {modality(a.modality).package: a.modality for a in study.acquisitions}
for name in used.values():
    truth = part(name, "phantom").write_study_raw(study)
shutil.copyfile(truth, Path(snakemake.output.truth))
