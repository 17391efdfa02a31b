"""What was in a folder beside the scan that was read, as findings."""

from __future__ import annotations

from collections.abc import Container, Sequence

from tracker.dicom.files import Dropped
from tracker.dicom.series import Series
from tracker.errors import Finding

# Files that cannot be read at all may be slices of the scan: they are named, and a gap in the stack is an error of its own.
_SUSPECT = ("unparsable", "empty", "unreadable", "deflated", "broken_link", "link_outside")


def file_findings(
    groups: Sequence[Series], chosen: Sequence[Series], dropped: Sequence[Dropped], modalities: Container[str]
) -> tuple[Finding, ...]:
    """What else was in the folder: other series, split localisers, duplicates and unreadable files, each once with its count.

    ``modalities`` are the DICOM modalities of the scan: a file of theirs without pixels is one that was cut short.
    """
    others = [g for g in groups if all(g is not c for c in chosen)]
    noted = []
    split = [g for g in others if any(g.uid == c.uid for c in chosen)]
    if split:
        noted.append(
            Finding(
                "series_split",
                "warn",
                f"{sum(len(g.instances) for g in split)} file(s) share the series UID but not its geometry: left out",
            )
        )
    if len(others) > len(split):
        noted.append(Finding("other_series", "ok", f"{len(others) - len(split)} other series in the folder: left out"))
    for reason in sorted({d.reason for d in dropped}):
        paths = [d.path.name for d in dropped if d.reason == reason]
        cut = reason == "no_pixels" and any(d.detail in modalities for d in dropped)
        status = "warn" if cut or reason in (*_SUSPECT, "duplicate") else "ok"
        noted.append(Finding(f"files_{reason}", status, f"{len(paths)} file(s) left out ({reason}), e.g. {paths[0]}"))
    return tuple(noted)
