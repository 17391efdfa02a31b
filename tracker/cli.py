"""The command `celltracker`: start a study, see what a folder holds, fit standards, check a study, run it.

Exit codes: 0 done · 1 a stage failed · 2 config or sheets wrong (all errors listed) · 3 done, but some animals were set aside ·
4 the environment lacks something.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tracker import __version__
from tracker.errors import InputError, StudyErrors

DONE, FAILED, WRONG, SET_ASIDE, LACKING = 0, 1, 2, 3, 4


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _init(args: argparse.Namespace) -> int:
    from tracker.study.template import write_template

    for path in write_template(args.study):
        print(path)
    _say(f"Fill in the sheets (README.txt says how), then: celltracker check {args.study}")
    return DONE


def _config(study: Path) -> Path:
    """A study's config: the file itself, or config.yaml in its folder."""
    path = study / "config.yaml" if study.is_dir() else study
    if not path.is_file():
        raise InputError("config_missing", "there is no config", found="no file", expected="config.yaml", where=path,
                         do=f"celltracker init {study} writes a commented one")  # fmt: skip
    return path


def _check(args: argparse.Namespace) -> int:
    from tracker.study import load_study

    study = load_study(_config(args.study), check_paths=not args.no_paths)
    scans = [a for a in study.acquisitions if a.role != "anatomy"]
    print(f"{study.config.study}: {len(study.subjects)} subjects, {len(study.doses)} doses, {len(scans)} scans: nothing wrong")
    return DONE


def _scan(args: argparse.Namespace) -> int:
    import csv

    from tracker.inventory import Inventory, Progress, draft_acquisitions, take_inventory

    inventory = None
    for step in take_inventory(args.folder):
        if isinstance(step, Progress):
            _progress(step.done, step.total)
        else:
            inventory = step
    if not isinstance(inventory, Inventory):
        return FAILED
    _show(inventory)
    if args.draft:
        if args.draft.exists():
            raise InputError(
                "file_exists", "the draft would overwrite a file", found=args.draft, expected="a new file", do="name another, or move it"
            )
        with args.draft.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(draft_acquisitions(inventory, args.draft.parent))
        print(f"draft of the acquisitions sheet: {args.draft} (fill in subject, label and organs)")
    return DONE if any(not s.problem for s in inventory.series) else FAILED


def _progress(done: int, total: int) -> None:
    # A line that overwrites itself on a terminal; nothing where the output goes to a file.
    if sys.stderr.isatty():
        print(f"\r{done} of {total} files", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _show(inventory: object) -> None:
    from rich.console import Console
    from rich.table import Table

    from tracker.inventory import Inventory, dropped_summary

    if not isinstance(inventory, Inventory):
        raise TypeError(f"not an inventory: {type(inventory)}")
    table = Table("folder", "series", "kind", "files", "frames × rows × columns", "acquired", "kept as")
    for s in inventory.series:
        kept = f"{s.modality} {s.role}" if not s.problem else f"dropped: {s.problem}"
        folder = s.folder.relative_to(inventory.root) if s.folder.is_relative_to(inventory.root) else s.folder
        acquired = s.acquired.isoformat(sep=" ", timespec="seconds") if s.acquired else "?"
        table.add_row(str(folder), f"{s.number or '?'} {s.uid[-12:]}", s.dicom_modality, str(s.files), s.shape, acquired, kept)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    kept_count = sum(not s.problem for s in inventory.series)
    console.print(f"{len(inventory.series)} series found, {kept_count} kept, {len(inventory.series) - kept_count} dropped")
    for reason, count, example in dropped_summary(inventory):
        console.print(f"{count} file(s) in no series: {reason}, e.g. {example}", markup=False)


def _run(args: argparse.Namespace) -> int:
    import subprocess

    from tracker.study import load_study

    config = _config(args.study).resolve()
    snakefile = Path(__file__).resolve().parents[1] / "Snakefile"
    if not snakefile.is_file():
        _say("the workflow is not beside the library; run celltracker from a clone of its repository (pip install -e .)")
        return LACKING
    study = load_study(config)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--configfile", str(config), "--cores", str(args.cores)]
    if not any(word.startswith("--workflow-profile") for word in args.snakemake):
        # Snakemake looks for a default profile beside the top Snakefile only, where there is none.
        command += ["--workflow-profile", str(snakefile.parent / "workflow" / "profiles" / "default")]
    code = subprocess.run([*command, *args.snakemake], check=False).returncode
    if code not in (DONE, SET_ASIDE):
        _say_locked(args.study)
        return FAILED
    return _outcome(Path("results") / study.config.study)


def _say_locked(study: Path) -> None:
    """Names the command that removes a lock, where one is left: an own run that fails by itself leaves none."""
    locks = Path(".snakemake") / "locks"
    if locks.is_dir() and any(locks.iterdir()):
        _say(f"If no other run is at work in {Path.cwd()}, one was killed here: celltracker run {shlex.quote(str(study))} -- --unlock")


def _outcome(results: Path) -> int:
    """Says where a run's results are, if it made any (a dry run or --unlock may not), and gives its exit code."""
    from tracker.qc import read_qc
    from tracker.setaside import set_aside

    truth = results / "qc" / "truth.csv"
    if truth.is_file() and (results / "report" / "index.html").is_file():
        print(truth_text(truth))
    for what, name in (("curves", "curves/biodistribution.csv"), ("report", "report/index.html")):
        if (results / name).is_file():
            print(f"{what}: {results / name}")
    checks = results / "qc" / "checks.csv"
    return SET_ASIDE if checks.is_file() and set_aside(read_qc(checks)) else DONE


def truth_text(path: Path) -> str:
    """How far a digital study's curves are from its truth, as text: the table that the report shows too."""
    from tracker.truth import read_comparison

    lines = ["How far the curves are from the truth (%ID: percent of the injected dose; medians over all scans):"]
    lines.append(f"{'modality':<10}{'organ':<14}{'true %ID':>10}{'off by %ID':>12}{'off by %':>10}   95 % interval holds the truth in")
    for row in read_comparison(path):
        inside = "no interval" if row.covered_percent is None else f"{row.covered_percent:.0f} % of {row.n + row.n_censored} values"
        beyond = f", {row.n_censored} of them beyond a limit" if row.n_censored else ""
        truth, difference, percent = _short(row.median_truth, 3), _short(row.median_difference, 2), _short(row.median_percent, 3)
        lines.append(f"{row.modality:<10}{row.organ:<14}{truth:>10}{difference:>12}{percent:>10}   {inside}{beyond}")
    lines.append("An organ with hardly any label is off by many percent of it: look at its difference in %ID, and at its interval.")
    return "\n".join(lines)


def _calibrate(args: argparse.Namespace) -> int:
    from tracker.modality import has_part, modalities, part

    if not has_part(args.modality, "standards"):
        able = ", ".join(name for one in modalities() for name in one.names if has_part(name, "standards"))
        raise InputError("no_standards", "this modality has no line to fit", found=args.modality, expected=able or "none has one")
    if args.out and args.out.suffix.lower() != ".svg":
        raise InputError("not_svg", "the figure is an SVG", found=args.out.name, expected="a name that ends in .svg")
    standards = part(args.modality, "standards")
    found = standards.fit_table(args.table)
    print(found.text)
    if args.out:
        standards.draw(found, args.out)
        print(f"figure: {args.out}")
    return DONE


def _short(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def _schema(args: argparse.Namespace) -> int:
    from tracker.study.schemas import write_schemas

    for path in write_schemas(args.folder):
        print(path)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="celltracker", description="Biodistribution curves from scans of labelled cells.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = commands.add_parser("init", help="write a commented config and empty sheets")
    init.add_argument("study", type=Path, help="a new or empty folder")
    init.set_defaults(run=_init)
    scan = commands.add_parser("scan", help="list what a folder of mixed raw files holds, by headers")
    scan.add_argument("folder", type=Path)
    scan.add_argument("--draft", type=Path, help="write a draft of the acquisitions sheet (TSV) here")
    scan.set_defaults(run=_scan)
    check = commands.add_parser("check", help="show all that is wrong with a study (exit code 2)")
    check.add_argument("study", type=Path, help="the study's folder or config")
    check.add_argument("--no-paths", action="store_true", help="do not ask whether the raw files exist")
    check.set_defaults(run=_check)
    run = commands.add_parser("run", help="run a study; what follows -- goes to snakemake")
    run.add_argument("study", type=Path, help="the study's folder or config")
    run.add_argument("--cores", type=int, default=2)
    run.add_argument("snakemake", nargs="*", help=argparse.SUPPRESS)
    run.set_defaults(run=_run)
    calibrate = commands.add_parser("calibrate", help="fit a table of standards: the lines for config.yaml, and how good the fit is")
    calibrate.add_argument("modality", help="as the sheets call it")
    calibrate.add_argument("table", type=Path, help="TSV or CSV, one row a reading")
    calibrate.add_argument("--out", type=Path, metavar="FILE.svg", help="draw the line with its 95 %% band here")
    calibrate.set_defaults(run=_calibrate)
    schema = commands.add_parser("schema", help="write the schemas of config, sheets and table")
    schema.add_argument("folder", type=Path)
    schema.set_defaults(run=_schema)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the result is the exit code (see this module's head)."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (InputError, StudyErrors) as error:
        _say(str(error))
        return WRONG
    except ModuleNotFoundError as error:
        _say(f"the environment lacks {error.name}: pip install {error.name}, or run `make demo`, which installs all that is locked")
        return LACKING


if __name__ == "__main__":
    sys.exit(main())
