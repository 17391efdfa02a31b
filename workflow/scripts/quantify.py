"""Rule quantify: see `tracker.stages.quantify` and `tracker.stages.export_organs`."""

import logging
from pathlib import Path

from tracker import stages
from tracker.qc import write_qc
from tracker.report.before_after import write_before_after
from tracker.report.montage import write_montage
from tracker.report.overlay import write_overlay
from tracker.report.planar import write_compared
from tracker.report.undone import write_undone
from tracker.study import Context
from tracker.transfer import decode_all

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
contexts = decode_all(Context, snakemake.params.contexts)
folders = Path(snakemake.input.quantities), Path(snakemake.input.organs)
outputs = Path(snakemake.output.tables), Path(snakemake.output.pictures)
drawing = stages.Drawing(write_overlay, write_before_after, write_montage, write_undone, write_compared)
noted = stages.quantify(contexts, folders, outputs, drawing)
noted += stages.export_organs(contexts, folders[1], Path(snakemake.output.organs))
write_qc(Path(snakemake.output.qc), noted)
