"""What is said when an input cannot give a correct answer, and what is noted when it can but needs a look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

STATUSES = ("ok", "warn", "fail")


class InputError(Exception):
    """One input that cannot give a correct answer: what is wrong, what was found and expected, where, what to do.

    ``code`` is a short stable id (``missing_slice``) that tests, ``qc/*.csv`` and the report use; the rest is for people.

    >>> print(InputError("missing_slice", "the series has a gap", found="19 slices", expected="20", where="scan/", do="export it again"))
    missing_slice: the series has a gap; found 19 slices; expected 20; at scan/; do: export it again
    """

    def __init__(self, code: str, what: str, *, found: object = "", expected: object = "", where: object = "", do: str = "") -> None:
        self.code, self.what, self.found, self.expected = code, what, str(found), str(expected)
        self.where, self.do = str(where), do
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.what}"]
        parts += [f"{word} {text}" for word, text in (("found", self.found), ("expected", self.expected), ("at", self.where)) if text]
        return "; ".join(parts + ([f"do: {self.do}"] if self.do else []))

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive a process boundary by themselves.
        return (_rebuild, (self.code, self.what, self.found, self.expected, self.where, self.do))


def _rebuild(code: str, what: str, found: str, expected: str, where: str, do: str) -> InputError:
    return InputError(code, what, found=found, expected=expected, where=where, do=do)


class StudyErrors(Exception):
    """All that is wrong with a config and its sheets, together (exit code 2)."""

    def __init__(self, errors: Iterable[InputError]) -> None:
        self.errors = tuple(errors)
        super().__init__(f"{len(self.errors)} error(s) in the study:\n" + "\n".join(f"  {e}" for e in self.errors))


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and how it went: a row of ``qc/*.csv``.

    ``check`` is a short stable id, ``status`` one of ``ok``, ``warn``, ``fail``; ``fail`` means the scan was set aside.
    """

    check: str
    status: str
    reason: str

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is not one of {STATUSES}")
