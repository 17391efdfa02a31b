"""Rule pk: see `tracker.exports.write_exports`."""

from pathlib import Path

from tracker.exports import write_exports
from tracker.qc import QcRow, write_qc
from tracker.study import Study
from tracker.table import read_rows
from tracker.transfer import decode

study = decode(Study, snakemake.params.study)
findings = write_exports(study, read_rows(Path(snakemake.input[0])), Path(snakemake.output.nonmem).parent)
write_qc(Path(snakemake.output.qc), [QcRow(study.config.study, "", "", "", "pk", f.check, f.status, f.reason) for f in findings])
