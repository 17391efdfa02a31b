"""YAML as people mean it: values with the line each stands on; words that YAML 1.1 would turn into something else are refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracker.errors import InputError

Keys = tuple[str | int, ...]

_CORE = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
# What a YAML reader of one version or another takes for a number or a truth value, and people mean as text.
_LOOKS_NUMERIC = re.compile(r"[-+]?\d[\d_]*(:\d+)+(\.\d*)?|[-+]?0\d[\d_.]*|0[oxb][\da-fA-F_]+", re.ASCII)
_OTHER_BOOLEANS = {"y", "n", "yes", "no", "on", "off"}
# Tags that a plain word may get by its look alone; any other was written by hand.
_PLAIN = {f"{_CORE}{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}
_TOO_MANY = 100_000


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file: its ``value``, and by path of keys the line and the text as written. ``bad`` paths are in the errors already."""

    shown: str
    value: Any = None
    lines: dict[Keys, int] = field(default_factory=dict)
    texts: dict[Keys, str] = field(default_factory=dict)
    bad: set[Keys] = field(default_factory=set)

    def at(self, keys: Keys) -> str:
        """Where a key stands, for a message; the line of the nearest section for a key that is not there."""
        line = next((self.lines[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in self.lines), 1)
        return f"{self.shown}, line {line}" + (f", key {dotted(keys)}" if keys else "")


def dotted(keys: Keys) -> str:
    """A path of keys as people write it.

    >>> dotted(("pk", "targets", 0, "quantity"))
    'pk.targets[0].quantity'
    """
    return "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in keys).lstrip(".")


def read_yaml(path: Path, errors: list[InputError]) -> Document:
    """The document in a YAML file; what is wrong inside is appended to ``errors``.

    Raises `InputError` where the file cannot be read or is no YAML at all. Plain numbers are those of JSON (``1e5`` too).
    Refused: sexagesimal, octal, hexadecimal, ``yes``/``no``/``on``/``off``, dates, empty values, duplicate keys, tags.
    """
    import yaml  # type: ignore[import-untyped]

    text = _text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _syntax(path.name, error) from None
    except RecursionError:
        raise InputError("bad_yaml", "the file is nested too deeply", where=path.name) from None
    document = Document(path.name)
    if node is None:
        raise InputError("bad_yaml", "the file is empty", expected="the study's keys", where=path.name)
    return Document(path.name, _Walk(document, errors).value(node, ()), document.lines, document.texts, document.bad)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            "missing_file", f"the config cannot be read ({error.strerror})", where=path.name, do="give a config.yaml"
        ) from None
    except UnicodeDecodeError as error:
        where = f"{path.name}, line {error.object[: error.start].count(10) + 1}"
        raise InputError(
            "not_utf8", "the text is not UTF-8", found=f"byte {error.object[error.start]:#04x}", expected="UTF-8", where=where
        ) from None


def _syntax(shown: str, error: Any) -> InputError:
    mark = getattr(error, "problem_mark", None)
    where = f"{shown}, line {mark.line + 1}, character {mark.column + 1}" if mark else shown
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    return InputError(
        "bad_yaml", f"the YAML cannot be read: {problem}", where=where, do="check indentation (spaces, no tabs), colons and quotes"
    )


class _Walk:
    """Node by node to plain values. Not a function, since it keeps what it has met: sections under way, and how many in all."""

    def __init__(self, document: Document, errors: list[InputError]) -> None:
        self.document, self.errors = document, errors
        self.open: list[Any] = []
        self.count = 0

    def refuse(self, keys: Keys, code: str, what: str, found: str, do: str) -> Any:
        self.document.bad.add(keys)
        self.errors.append(InputError(code, what, found=found, where=self.document.at(keys), do=do))
        return None

    def value(self, node: Any, keys: Keys) -> Any:
        self.document.lines.setdefault(keys, node.start_mark.line + 1)
        self.count += 1
        # An anchor that holds itself, or anchors of anchors, would never end.
        if any(node is one for one in self.open) or self.count > _TOO_MANY:
            raise InputError("bad_yaml", "the anchors of this file repeat without end", where=self.document.at(keys))
        if node.id == "scalar":
            return self.scalar(node, keys)
        if node.tag not in (f"{_CORE}map", f"{_CORE}seq"):
            return self.refuse(keys, "bad_yaml", "tags are not allowed", node.tag, "remove the tag")
        self.open.append(node)
        children: Any
        if node.id == "sequence":
            children = [self.value(child, (*keys, n)) for n, child in enumerate(node.value)]
        else:
            children = {key: self.value(child, (*keys, key)) for key, child in self.pairs(node, keys)}
        self.open.pop()
        return children

    def pairs(self, node: Any, keys: Keys) -> Iterator[tuple[str, Any]]:
        """The key and value nodes of a section. A merge (``<<``) comes first, so that the section's own keys win."""
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == f"{_CORE}merge":
                merged = {**self.merge(child, keys), **merged}
            elif (name := self.key(key, own, keys)) is not None:
                own[name] = child
        yield from {**merged, **own}.items()

    def merge(self, child: Any, keys: Keys) -> dict[str, Any]:
        every = child.value if child.id == "sequence" else [child]
        if any(one.id != "mapping" for one in every):
            self.refuse(keys, "bad_yaml", "<< merges sections only", "something else", "give an anchor of a section")
            return {}
        return {name: value for one in reversed(every) for name, value in self.pairs(one, keys)}

    def key(self, key: Any, seen: dict[str, Any], keys: Keys) -> Any:
        """The text of a key, or None where it is refused."""
        text = str(key.value)
        path = (*keys, text)
        line = key.start_mark.line + 1
        if key.id != "scalar" or (key.style is None and (key.tag != f"{_CORE}str" or _trap(text))):
            self.document.lines.setdefault(path, line)
            return self.refuse(path, "yaml_trap", "YAML does not read this key as text", text, "put quotes around it")
        if text.startswith("__"):
            self.document.lines.setdefault(path, line)
            return self.refuse(path, "reserved_key", "keys in double underscores can run code and are refused", text, "remove it")
        if text in seen:
            what = f"the same key as in line {self.document.lines[path]}"
            self.errors.append(
                InputError(
                    "duplicate_key", what, found=text, where=f"{self.document.shown}, line {line}, key {dotted(path)}", do="keep one"
                )
            )
            return None
        self.document.lines[path] = line
        return text

    def scalar(self, node: Any, keys: Keys) -> Any:
        text = str(node.value)
        self.document.texts[keys] = text
        if node.tag == f"{_CORE}str" and node.style is not None:
            return text
        if node.style is not None or node.tag not in _PLAIN:
            return self.refuse(keys, "bad_yaml", "tags are not allowed", node.tag, "remove the tag")
        if node.tag == f"{_CORE}null":
            return self.refuse(keys, "empty_value", "this key has no value", repr(text), "give a value or remove the line")
        if node.tag == f"{_CORE}bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if _is_number(text):
            return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
        if node.tag != f"{_CORE}str" or _trap(text):
            do = "write true or false, or put quotes around a text" if text.lower() in _OTHER_BOOLEANS else _quotes(text)
            return self.refuse(keys, "yaml_trap", "YAML does not read this as it is written", repr(text), do)
        return text


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))


def _trap(text: str) -> bool:
    """Whether some reader of YAML takes the text for a number or a truth value, and this one does not take it for a number."""
    return text.lower() in _OTHER_BOOLEANS or bool(_LOOKS_NUMERIC.fullmatch(text) or _NUMBER.fullmatch(text))


def _quotes(text: str) -> str:
    return f'put quotes around it if it is text: "{text}"; write a number with digits and a point only'
