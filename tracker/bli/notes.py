"""Findings of several images as findings of the scan: what was found in all of them is said once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracker.errors import Finding


def of_images(each: Sequence[Iterable[Finding]]) -> tuple[Finding, ...]:
    """One finding for each that an image has, with the images it is of where not all have it.

    >>> of_images([[Finding("flat_field", "ok", "fine")], []])[0].reason
    'image 1: fine'
    """
    where: dict[Finding, list[int]] = {}
    for number, findings in enumerate(each, start=1):
        for finding in findings:
            where.setdefault(finding, []).append(number)
    merged = []
    for finding, numbers in where.items():
        named = "" if len(numbers) == len(each) else f"image{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: "
        merged.append(Finding(finding.check, finding.status, named + finding.reason))
    return tuple(merged)
