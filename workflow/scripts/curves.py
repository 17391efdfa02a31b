"""Rule curves: see `tracker.gather.gather`."""

from pathlib import Path

from tracker.gather import CurveFiles, gather
from tracker.study import Study
from tracker.transfer import decode

study = decode(Study, snakemake.params.study)
files = CurveFiles(Path(snakemake.output.curves), Path(snakemake.output.groups), Path(snakemake.output.qc))
gather(study.config.study, map(Path, snakemake.input.rows), map(Path, snakemake.input.qc), files)
