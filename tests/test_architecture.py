"""Who may know whom: the house's rules, read from the code itself."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker.modality import modalities

TRACKER = Path(__file__).resolve().parents[1] / "tracker"
PACKAGES = {m.package for m in modalities()} | {p.name for p in TRACKER.iterdir() if p.name in ("mri", "bli", "exvivo")}
# From the bottom up; a file may import its own layer and those below. What is not named is a modality, or above all layers.
LAYERS = (
    ("errors", "transfer", "clock", "compiled"),
    ("image", "table", "qc", "modality", "nuclides", "decay"),
    ("study", "dicom", "nifti", "provenance"),
    ("label", "dilution", "retention", "organs", "beds", "spillover", "register", "anatomy"),
    ("atlas",),
    ("carry",),
    ("quantify", "cells", "background"),
    ("correct", "curves", "datapackage", "setaside", "truth"),
    ("nca",),
    ("exports",),
    ("stages", "gather", "inventory"),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# The command line and the page that people read stand above; phantoms know the mouse and its cells.
TOP = {"cli", "report"}
FOR_PHANTOMS = {"mouse", "kinetics", "digital"}


def modules() -> Iterator[tuple[Path, str]]:
    """Every module with its room: the file's or folder's name in tracker/."""
    for path in sorted(TRACKER.rglob("*.py")):
        parts = path.relative_to(TRACKER).with_suffix("").parts
        if parts != ("__init__",):
            yield path, parts[0]


def imports(path: Path) -> set[tuple[str, ...]]:
    """What a module imports of tracker, as parts after `tracker.`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names]
        found |= {tuple(n.split(".")[1:]) for n in names if n.startswith("tracker.")}
    return found


ALL = list(modules())
NAMES = [str(p.relative_to(TRACKER)) for p, _ in ALL]


@pytest.mark.parametrize(("path", "room"), ALL, ids=NAMES)
def test_modalities_are_strangers_and_shared_files_do_not_know_them(path: Path, room: str) -> None:
    others = {i[0] for i in imports(path)} & PACKAGES
    assert others <= {room}, f"{path.name} imports the modality {others - {room}}"


@pytest.mark.parametrize(("path", "room"), ALL, ids=NAMES)
def test_imports_point_downwards(path: Path, room: str) -> None:
    if room in PACKAGES or room in TOP | FOR_PHANTOMS:
        return
    assert room in LEVEL, f"{room} has no layer: give it one in LAYERS, and say in docs/architecture.md what it is"
    for imported in imports(path):
        target = imported[0]
        if target != room and target != "__version__":
            assert target in LEVEL, f"{path.name} imports {target}, which stands above all layers or belongs to phantoms"
            assert LEVEL[target] <= LEVEL[room], f"{path.name} ({room}) imports {target}, a layer above"


@pytest.mark.parametrize(("path", "room"), ALL, ids=NAMES)
def test_nobody_imports_a_phantom_or_the_report(path: Path, room: str) -> None:
    for imported in imports(path):
        if "phantom" in imported:
            assert "phantom" in path.relative_to(TRACKER).with_suffix("").parts
        if imported[0] == "report":
            assert room in TOP


@pytest.mark.parametrize(("path", "room"), ALL, ids=NAMES)
def test_shared_code_names_no_modality(path: Path, room: str) -> None:
    if room in PACKAGES or room in TOP:
        return
    word = re.compile(rf"\b({'|'.join(PACKAGES)})\b", re.IGNORECASE)
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            # Docstrings and comments may give an example; code may not branch on one.
            if token.type == tokenize.NAME or (token.type == tokenize.STRING and not token.string.startswith(('"""', 'r"""', 'f"""'))):
                assert not word.search(token.string), f"{path.name}:{token.start[0]} names a modality: {token.string}"


def test_scripts_define_nothing_and_are_named_as_their_rules() -> None:
    workflow = TRACKER.parent / "workflow"
    rules = set()
    for file in (workflow / "rules").glob("*.smk"):
        rules |= set(re.findall(r"^\s*rule (\w+):", file.read_text(encoding="utf-8"), re.MULTILINE))
    for script in (workflow / "scripts").glob("*.py"):
        tree = ast.parse(script.read_text(encoding="utf-8"))
        assert script.stem in rules
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)], script.name


def test_every_rule_has_a_docstring_and_a_log() -> None:
    for file in (TRACKER.parent / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^\s*rule \w+:", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            assert rule.lstrip().startswith('"""'), file.name
            assert "log:" in rule, file.name
            assert "run:" not in rule, file.name


def test_repository_names_no_address_of_a_registry_or_machine() -> None:
    for lock in TRACKER.parent.glob("requirements*.lock"):
        assert "://" not in lock.read_text(encoding="utf-8"), lock.name
