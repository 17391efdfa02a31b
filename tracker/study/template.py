"""An empty study to fill in: a commented ``config.yaml``, the sheets with their headers, and a manual."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tracker.errors import InputError
from tracker.modality import modalities
from tracker.study.columns import SHEETS
from tracker.study.config import config_schema
from tracker.study.manual import manual

_WIDTH = 100
_HEAD = """\
# The study; paths are relative to this file. README.txt explains every key and every column of the sheets.
# Lines that begin with "# key:" are not set: remove the "# " and give a value where you need one.
"""


def write_template(folder: Path) -> list[Path]:
    """The files written into ``folder`` (made if need be): ``config.yaml``, one TSV a sheet with its header, ``README.txt``.

    Raises `InputError` where one of them is there already; then nothing is written. The study loads once the sheets are filled in.
    """
    texts = {"config.yaml": _config(folder), "README.txt": manual(modalities())}
    texts |= {f"{name}.tsv": "\t".join(c.name for c in sheet.columns) + "\n" for name, sheet in SHEETS.items()}
    there = [name for name in texts if (folder / name).exists()]
    if there:
        do = "give a new folder, or remove these files"
        raise InputError("file_exists", "the folder holds a study already", found=", ".join(there), where=folder.name, do=do)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def _config(folder: Path) -> str:
    given: dict[str, Any] = {
        # "my study (1)" may be a folder but not a study.
        "study": re.sub(r"[^0-9A-Za-z_-]+", "_", folder.absolute().name).strip("_") or "study",
        "sheets": {name: f"{name}.tsv" for name in SHEETS},
    }
    return _HEAD + "\n".join(_section(config_schema(), given, "")) + "\n"


def _section(schema: Mapping[str, Any], given: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, one in schema["properties"].items():
        if not indent:
            yield ""
        yield from _comment(one, indent)
        inner = list(_section(one, given.get(key, {}), indent + "  ")) if "properties" in one else []
        # A section with keys that must be written is one the reader takes up as a whole, its defaults too.
        taken_up = key in given or not one.get("required")
        if taken_up and any(not line.lstrip().startswith("#") for line in inner):
            yield f"{indent}{key}:"
            yield from inner
        elif inner:
            # Nothing in it is set, or not all that it needs: open, it would be refused.
            yield f"{indent}# {key}:"
            yield from (_commented(line, indent) for line in inner)
        elif key in given or "default" in one:
            yield f"{indent}{key}: {json.dumps(given.get(key, one.get('default')))}"
        else:
            yield f"{indent}# {key}: {_example(one)}".rstrip()


def _commented(line: str, indent: str) -> str:
    """A line of a section that is not set, set in under its key: the mark moves to the front, an explanation keeps its own."""
    text = line.removeprefix(indent)
    return f"{indent}# {text if text.lstrip().startswith('##') else text.replace('# ', '', 1)}"


def _example(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema["examples"][0]) if "examples" in schema else ""


def _comment(schema: Mapping[str, Any], indent: str) -> list[str]:
    words = ", ".join(str(w) for w in schema.get("enum", ()))
    unit = schema.get("unit", "")
    text = schema["description"] + (f" ({words})" if words else "") + (f" [{unit}]" if unit else "")
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}## ", subsequent_indent=f"{indent}## ")
