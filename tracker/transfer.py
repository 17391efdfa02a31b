"""Frozen dataclasses as text and back, so that what a job is told travels through the workflow's ``params`` and an edit shows there."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def encode(value: Any) -> str:
    """A dataclass, or a list of them, as one line of JSON: equal values give equal text.

    >>> from tracker.study.rows import Subject
    >>> decode(Subject, encode(Subject("007", "mouse", 25.0))).subject
    '007'
    """
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, allow_nan=False)


def _typed(kind: Any, value: Any) -> Any:
    if value is None or kind is Any:
        return value
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _typed(next(k for k in get_args(kind) if k is not type(None)), value)
    if origin is tuple:
        return tuple(_typed(get_args(kind)[0], v) for v in value)
    if origin is not None and issubclass(origin, Mapping):
        return {k: _typed(get_args(kind)[1], v) for k, v in value.items()}
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is Path:
        return Path(value)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{f.name: _typed(hints[f.name], value[f.name]) for f in dataclasses.fields(kind)})  # type: ignore[operator]
    return kind(value) if kind in (float, int, str, bool) else value


def decode(kind: type[T], text: str) -> T:
    """The dataclass that `encode` turned into ``text``."""
    result: T = _typed(kind, json.loads(text))
    return result


def decode_all(kind: type[T], text: str) -> tuple[T, ...]:
    """The dataclasses of a list that `encode` turned into ``text``."""
    return tuple(_typed(kind, item) for item in json.loads(text))
