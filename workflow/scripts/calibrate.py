"""Rule calibrate: see `tracker.stages.calibrate`."""

import logging
from pathlib import Path

from tracker import stages
from tracker.qc import write_qc
from tracker.study import Context
from tracker.transfer import decode_all

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
contexts = decode_all(Context, snakemake.params.contexts)
write_qc(Path(snakemake.output.qc), stages.calibrate(contexts, Path(snakemake.input[0]), Path(snakemake.output.quantities)))
