"""Rule phantom: a digital subject's raw files and their truth."""

import logging
from pathlib import Path

from tracker.modality import part
from tracker.study import Study
from tracker.transfer import decode

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
modality, subject = snakemake.wildcards.modality, snakemake.wildcards.subject
part(modality, "phantom").write_animal_raw(decode(Study, snakemake.params.study), modality, subject, Path(snakemake.output.truth))
