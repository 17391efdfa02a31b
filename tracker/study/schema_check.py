"""A YAML document against a JSON Schema: every departure as an error with line, key, what was found and what was expected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tracker.errors import InputError
from tracker.study.near import ask_near, listed
from tracker.study.yaml_strict import Document, Keys, dotted

_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a section of keys",
    "array": "a list",
}
_BOUNDS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
_COUNTS = {"minItems": "at least", "maxItems": "at most"}


def schema_errors(document: Document, schema: Mapping[str, Any]) -> list[InputError]:
    """All departures of ``document`` from ``schema``; values that YAML itself got wrong are left out."""
    # Slow to import, and only a config needs it.
    from jsonschema import Draft202012Validator

    found: dict[tuple[str, Keys], InputError] = {}
    for departure in Draft202012Validator(schema).iter_errors(document.value):
        for error, keys in _explain(document, departure):
            if not any(keys[:n] in document.bad for n in range(len(keys) + 1)):
                found.setdefault((error.code, keys), error)
    return list(found.values())


def line_of(error: InputError) -> int:
    """The line an error of a config stands on, to put errors in the order of the file."""
    line = error.where.partition(", line ")[2].partition(",")[0]
    return int(line) if line else 0


def _explain(document: Document, departure: Any) -> list[tuple[InputError, Keys]]:
    keys = tuple(departure.absolute_path)
    kind, allowed, value = departure.validator, departure.validator_value, departure.instance
    if kind == "additionalProperties" and allowed is False:
        known = list(departure.schema.get("properties", {}))
        return [(_unknown(document, (*keys, key), known), (*keys, key)) for key in value if key not in known]
    if kind == "required":
        missing = [key for key in allowed if key not in value]
        return [(_missing(document, (*keys, key), departure.schema), (*keys, key)) for key in missing]
    if kind == "dependentRequired":
        missing = [key for one, needed in allowed.items() if one in value for key in needed if key not in value]
        return [(_missing(document, (*keys, key), departure.schema), (*keys, key)) for key in missing]
    if kind == "type":
        return [(_wrong_type(document, keys, departure), keys)]
    where, text = document.at(keys), document.texts.get(keys, json.dumps(value))
    if kind == "enum":
        do = ask_near(text, [str(a) for a in allowed])
        return [
            (InputError("bad_choice", "this word is not known here", found=repr(text), expected=listed(allowed), where=where, do=do), keys)
        ]
    expected = f"{_BOUNDS[kind]} {allowed:g}" if kind in _BOUNDS else f"{kind} {allowed}"
    expected = f"{_COUNTS[kind]} {allowed} values" if kind in _COUNTS else expected
    code = "out_of_range" if kind in _BOUNDS else "bad_value"
    about = _about(departure.schema)
    return [(InputError(code, "this value cannot be", found=text, expected=expected + about, where=where), keys)]


def _about(schema: Mapping[str, Any]) -> str:
    """What the key means and its unit, to end a message with."""
    meaning, unit = schema.get("description", ""), schema.get("unit", "")
    return f" ({meaning}{f' [{unit}]' if unit else ''})" if meaning else ""


def _unknown(document: Document, keys: Keys, known: list[str]) -> InputError:
    name = str(keys[-1])
    return InputError(
        "unknown_key", "no such key", found=dotted(keys), expected=listed(known), where=document.at(keys), do=ask_near(name, known)
    )


def _missing(document: Document, keys: Keys, schema: Mapping[str, Any]) -> InputError:
    about = _about(schema.get("properties", {}).get(keys[-1], {}))
    return InputError("missing_key", "a required key is missing", expected=dotted(keys) + about, where=document.at(keys), do="add it")


def _wrong_type(document: Document, keys: Keys, departure: Any) -> InputError:
    allowed = departure.validator_value
    expected = " or ".join(_WORDS.get(str(one), str(one)) for one in (allowed if isinstance(allowed, list) else [allowed]))
    text = document.texts.get(keys)
    shape = "a section of keys" if isinstance(departure.instance, dict) else "a list"
    found = shape if text is None else repr(text)
    do = f'put quotes around it: "{text}"' if text is not None and expected == "text" else ""
    return InputError(
        "wrong_type", "a value of another type", found=found, expected=expected + _about(departure.schema), where=document.at(keys), do=do
    )


def with_defaults(schema: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """``value`` with the defaults its schema declares, in sections within sections too; a section without any stays away, and so
    does one with keys that must be written: its absence means that what it is for is not wanted.

    >>> with_defaults({"properties": {"gap": {"default": 2}}}, {})
    {'gap': 2}
    """
    filled = dict(value)
    for key, one in schema.get("properties", {}).items():
        if isinstance(filled.get(key), dict):
            filled[key] = with_defaults(one, filled[key])
        elif key not in filled and "default" in one:
            filled[key] = one["default"]
        elif key not in filled and not one.get("required") and (inner := with_defaults(one, {})):
            filled[key] = inner
    return filled
