"""What the workflow costs beside the computing: the demo study by snakemake, and the same stages called in one warm process.

    python benchmarks/workflow_overhead.py [--study config/small] [--cores 2]

Both write into a folder of their own. «Computing» is the time inside the library's stages with everything imported and compiled; all
else of the workflow's core-seconds is start-up of Python and imports in each job, and Snakemake itself.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def copy_study(source: Path, folder: Path) -> Path:
    """The study's text files in a folder of their own, so that nothing is taken from an earlier run."""
    folder.mkdir()
    for path in source.iterdir():
        if path.suffix in (".yaml", ".tsv"):
            shutil.copyfile(path, folder / path.name)
    return folder / "config.yaml"


def by_snakemake(config: Path, work: Path, cores: int) -> float:
    """Wall time of the whole workflow [s]."""
    work.mkdir()
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--configfile", str(config)]
    start = time.perf_counter()
    subprocess.run([*command, "--cores", str(cores), "-q"], cwd=work, check=True, capture_output=True)
    return time.perf_counter() - start


def by_hand(config: Path, work: Path) -> dict[str, float]:
    """Seconds in each stage, all subjects one after the other in this process."""
    from tracker import stages
    from tracker.exports import write_exports
    from tracker.gather import CurveFiles, gather
    from tracker.modality import part
    from tracker.qc import write_qc
    from tracker.report.assemble import ResultFiles, assemble
    from tracker.report.overlay import write_overlay
    from tracker.study import contexts, load_study
    from tracker.table import read_rows

    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], object]) -> object:
        start = time.perf_counter()
        result = work()
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
        return result

    study = load_study(config)
    timed("phantom", lambda: part("pet", "phantom").write_study_raw(study))
    work.mkdir()
    checks = []
    animals = sorted({c.acquisition.subject for c in contexts(study)})
    for animal in animals:
        own = [c for c in contexts(study) if c.acquisition.subject == animal]
        at = work / animal
        at.mkdir()
        checks += timed("ingest", lambda own=own, at=at: stages.ingest(own, at / "manifest.json"))
        checks += timed("calibrate", lambda own=own, at=at: stages.calibrate(own, at / "manifest.json", at / "quantity"))
        checks += timed("organs", lambda own=own, at=at: stages.organs(own, at / "quantity", at / "organs"))
        folders = (at / "quantity", at / "organs"), (at / "measured", at / "pictures")
        checks += timed("quantify", lambda own=own, folders=folders: stages.quantify(own, *folders, write_overlay))
        checks += timed("correct", lambda own=own, at=at: stages.correct(own, at / "measured", at / "corrected.csv"))
    for folder in ("curves", "qc", "pk", "report"):
        (work / folder).mkdir()
    write_qc(work / "qc" / "all.csv", checks)
    files = CurveFiles(work / "curves" / "biodistribution.csv", work / "curves" / "groups.csv", work / "qc" / "checks.csv")
    timed("curves", lambda: gather(study.config.study, [work / a / "corrected.csv" for a in animals], [work / "qc" / "all.csv"], files))
    timed("pk", lambda: write_exports(study, read_rows(files.curves), work / "pk"))
    pictures, manifests = tuple(work / a / "pictures" for a in animals), tuple(work / a / "manifest.json" for a in animals)
    results = ResultFiles(work, files.curves, (files.qc,), work / "pk" / "nca.csv", pictures, manifests)
    timed("report", lambda: assemble(study, results, work / "report" / "index.html"))
    return seconds


def main() -> None:
    """Runs both and prints the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=REPOSITORY / "config")
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = copy_study(args.study, folder / "a")
        wall_s = by_snakemake(config, folder / "a_work", args.cores)
        # Once to import and compile, once to measure.
        by_hand(copy_study(args.study, folder / "b"), folder / "b_work")
        seconds = by_hand(copy_study(args.study, folder / "c"), folder / "c_work")
    compute_s = sum(seconds.values())
    print(f"snakemake: {wall_s:.1f} s wall on {args.cores} cores; computing in one warm process: {compute_s:.1f} s")
    print(", ".join(f"{stage} {s:.2f}" for stage, s in seconds.items()))
    print(f"share of the wall time that the computing would fill on these cores: {100 * compute_s / args.cores / wall_s:.0f} %")


if __name__ == "__main__":
    main()
