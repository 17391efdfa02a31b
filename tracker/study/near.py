"""The nearest known name, for messages about misspelt keys, columns, ids and words."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 30
_SHORT = 3


def nearest(word: str, known: Iterable[str], cutoff: float | None = None) -> str:
    """The known name most like ``word``, whatever the case of its letters; empty where none is near.

    ``cutoff`` is difflib's ratio: 0.6 unless given, and 0.5 for up to three letters, where one slip is already half.

    >>> nearest("Body_weigth_g", ["subject", "body_weight_g"])
    'body_weight_g'
    """
    # Not at the top: difflib is only needed when something is wrong.
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in known}
    limit = cutoff if cutoff is not None else 0.5 if len(word) <= _SHORT else 0.6
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=limit)
    return by_lower[found[0]] if found else ""


def ask_near(word: str, known: Iterable[str]) -> str:
    """What to do about an unknown ``word``: the nearest known name, or the advice to use a listed one.

    >>> ask_near("speces", ["species"])
    "did you mean 'species'?"
    """
    name = nearest(word, known)
    return f"did you mean {name!r}?" if name else "use one of the known names"


def listed(names: Iterable[str]) -> str:
    """Names joined by commas, cut after thirty with the number that was left out.

    >>> listed(["a", "b"])
    'a, b'
    """
    every = list(names)
    rest = len(every) - _SHOWN
    return ", ".join(every[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
