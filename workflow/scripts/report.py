"""Rule report: see `tracker.report.assemble`."""

import logging
from pathlib import Path

from tracker.report.assemble import ResultFiles, assemble, write_crate
from tracker.study import Study
from tracker.transfer import decode

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, force=True)
study = decode(Study, snakemake.params.study)
curves, page = Path(snakemake.input.curves), Path(snakemake.output.page)
files = ResultFiles(
    root=curves.parents[1],
    curves=curves,
    checks=tuple(map(Path, snakemake.input.qc)),
    nca=Path(snakemake.input.nca),
    pictures=tuple(map(Path, snakemake.input.pictures)),
    manifests=tuple(map(Path, snakemake.input.manifests)),
    truth=tuple(map(Path, snakemake.input.truth)),
)
assemble(study, files, page)
write_crate(study, files, [curves, Path(snakemake.input.nca), page], Path(snakemake.output.crate))
