"""``config.yaml`` → `Config`: the shared keys, and the section of each modality by the schema in that modality's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracker.errors import InputError
from tracker.modality import Modality, modalities
from tracker.study.model import Config, Corrections, Organs, PkTarget
from tracker.study.near import ask_near, listed
from tracker.study.schema_check import line_of, schema_errors, with_defaults
from tracker.study.yaml_strict import Document, read_yaml
from tracker.table import QUANTITIES

_SHARED = Path(__file__).with_name("config.schema")
# Not a modality's name: the estimate made of several.
JOINT = "joint"


def shared_schema() -> dict[str, Any]:
    """JSON Schema of the keys that every study has; the words for a quantity are those of the table."""
    schema: dict[str, Any] = json.loads(_SHARED.read_text(encoding="utf-8"))
    schema["properties"]["pk"]["properties"]["targets"]["items"]["properties"]["quantity"]["enum"] = list(QUANTITIES)
    return schema


def section_schema(one: Modality) -> dict[str, Any]:
    """JSON Schema of a modality's section: its folder's ``config.schema``; a folder without one takes no keys."""
    path = one.folder / "config.schema"
    if not path.is_file():
        return {"description": f"constants of {one.package}: none", "type": "object", "additionalProperties": False, "properties": {}}
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # A part of a schema may not declare a dialect of its own.
    return {key: value for key, value in schema.items() if key not in ("$schema", "$id")}


def config_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the whole ``config.yaml``: the shared keys and a section for each modality there is."""
    schema = shared_schema()
    schema["properties"].update({one.package: section_schema(one) for one in modalities()})
    return schema


def read_document(path: Path, errors: list[InputError]) -> Document:
    """The config as written, checked against `config_schema`; what is wrong is appended to ``errors``.

    Raises `InputError` where it is no YAML, or not a section of keys.
    """
    found: list[InputError] = []
    document = read_yaml(path, found)
    if not isinstance(document.value, dict):
        raise InputError("bad_yaml", "the config is not a list of keys", expected="study: ...", where=path.name)
    found += [*schema_errors(document, config_schema()), *_atlas(document, path.parent)]
    found += [*_target_modalities(document), *_density_twice(document)]
    errors.extend(sorted(found, key=line_of))
    return document


def section(document: Document, *keys: str) -> dict[str, Any]:
    """The section under ``keys``; empty where it is not there or not a section (which the schema has said already)."""
    value = document.value
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _atlas(document: Document, root: Path) -> list[InputError]:
    """The atlas that organs are to come from: named, and its files there. They are real in a digital study too."""
    if section(document, "organs").get("source") != "atlas":
        return []
    named = section(document, "organs", "atlas")
    if not named:
        what, where = "organs are to come from an atlas, and none is named", document.at(("organs", "source"))
        do = "add organs.atlas with labels and names, or take source: segmentation"
        return [InputError("atlas_missing", what, found="source: atlas", expected="organs.atlas", where=where, do=do)]
    missing = [(key, text) for key, text in named.items() if isinstance(text, str) and not (root / text).is_file()]
    return [
        InputError(
            "missing_path", "there is no such file", found=repr(text), expected=f"the atlas's {key}",
            where=document.at(("organs", "atlas", key)), do="check the path; it is relative to the config file",
        )
        for key, text in missing
    ]  # fmt: skip


def _target_modalities(document: Document) -> list[InputError]:
    known = [*(name for one in modalities() for name in one.names), JOINT]
    targets = section(document, "pk").get("targets")
    errors = []
    for number, target in enumerate(targets if isinstance(targets, list) else []):
        name = target.get("modality") if isinstance(target, dict) else None
        if isinstance(name, str) and name not in known:
            where = document.at(("pk", "targets", number, "modality"))
            do = ask_near(name, known)
            errors.append(
                InputError("unknown_modality", "no modality has this name", found=name, expected=listed(known), where=where, do=do)
            )
    return errors


def _density_twice(document: Document) -> list[InputError]:
    seen: dict[str, str] = {}
    errors = []
    for name in section(document, "organs", "density_g_per_ml"):
        if name.lower() in seen:
            where = document.at(("organs", "density_g_per_ml", name))
            what = "an organ is named twice, in letters of another case"
            errors.append(InputError("duplicate_key", what, found=f"{seen[name.lower()]}, {name}", where=where, do="keep one"))
        seen[name.lower()] = name
    return errors


def build_config(document: Document, root: Path) -> Config:
    """The typed config of a document without errors, defaults filled in; ``root`` is what its paths are relative to."""
    shared = with_defaults(shared_schema(), document.value)
    sections = {one.package: section_schema(one) for one in modalities()}
    targets = shared.get("pk", {}).get("targets", [])
    return Config(
        study=shared["study"],
        organs=_organs(shared["organs"], section(document, "organs", "density_g_per_ml"), root),
        corrections=Corrections(**shared["corrections"]),
        pk_targets=tuple(_target(t) for t in targets),
        constants={name: with_defaults(schema, section(document, name)) for name, schema in sections.items()},
        phantom=document.value.get("phantom"),
    )


def _organs(organs: Mapping[str, Any], written: Mapping[str, float], root: Path) -> Organs:
    atlas = organs.get("atlas", {})
    # Lower case, so that what is written as Lung replaces the default of lung instead of standing beside it.
    own = {name.lower(): value for name, value in written.items()}
    defaults = {n: v for n, v in organs["density_g_per_ml"].items() if n not in written}
    return Organs(
        source=organs["source"],
        density_g_per_ml={name: float(value) for name, value in {**defaults, **own}.items()},
        peak_sphere_ml=organs.get("peak_sphere_ml"),
        atlas_labels=root / atlas["labels"] if atlas else None,
        atlas_names=root / atlas["names"] if atlas else None,
        atlas_image=root / atlas["image"] if "image" in atlas else None,
        boundary_sd_mm={name.lower(): float(sd) for name, sd in organs.get("boundary_sd_mm", {}).items()},
        dicom_seg=organs["dicom_seg"],
    )


def _target(target: Mapping[str, Any]) -> PkTarget:
    return PkTarget(target["quantity"], target["modality"], tuple(target.get("organs", ())), tuple(target.get("subjects", ())))


def missing_constants(document: Document, used: set[str]) -> list[InputError]:
    """Errors for the keys that a modality in use requires where the config has no section for it at all."""
    errors = []
    for one in modalities():
        if one.package in used and one.package not in document.value:
            for key in section_schema(one).get("required", []):
                meaning = section_schema(one)["properties"][key].get("description", "")
                expected = f"{one.package}.{key} ({meaning})"
                errors.append(InputError("missing_key", "a required key is missing", expected=expected, where=document.shown, do="add it"))
    return errors
