"""Rule organs: see `tracker.stages.organs`."""

import logging
from pathlib import Path

from tracker import stages
from tracker.qc import write_qc
from tracker.study import Context
from tracker.transfer import decode_all

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
contexts = decode_all(Context, snakemake.params.contexts)
write_qc(Path(snakemake.output.qc), stages.organs(contexts, Path(snakemake.input.quantities), Path(snakemake.output.organs)))
