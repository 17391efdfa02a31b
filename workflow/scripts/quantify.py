"""Rule quantify: see `tracker.stages.quantify`."""

import logging
from pathlib import Path

from tracker import stages
from tracker.qc import write_qc
from tracker.report.before_after import write_before_after
from tracker.report.overlay import write_overlay
from tracker.study import Context
from tracker.transfer import decode_all

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
contexts = decode_all(Context, snakemake.params.contexts)
folders = Path(snakemake.input.quantities), Path(snakemake.input.organs)
outputs = Path(snakemake.output.tables), Path(snakemake.output.pictures)
write_qc(Path(snakemake.output.qc), stages.quantify(contexts, folders, outputs, stages.Drawing(write_overlay, write_before_after)))
