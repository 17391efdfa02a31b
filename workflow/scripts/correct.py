"""Rule correct: see `tracker.stages.correct`."""

import logging
from pathlib import Path

from tracker import stages
from tracker.qc import write_qc
from tracker.study import Context
from tracker.transfer import decode_all

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
contexts = decode_all(Context, snakemake.params.contexts)
controls = decode_all(Context, snakemake.params.controls)
folders = dict(zip(snakemake.params.control_subjects, map(Path, snakemake.input.controls), strict=True))
rows = stages.correct(contexts, Path(snakemake.input.tables), Path(snakemake.output.rows), (controls, folders))
write_qc(Path(snakemake.output.qc), rows)
