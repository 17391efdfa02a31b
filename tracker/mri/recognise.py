"""What the MR series of a folder are, from their headers: a multi-echo scan and its parts, or anatomy."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.dicom import Series
from tracker.modality import Recognised
from tracker.mri.read import picture_sets
from tracker.mri.sets import join, measurable
from tracker.mri.tags import TAGS

__all__ = ["TAGS", "recognise"]


def recognise(series: Sequence[Series]) -> tuple[Recognised, ...]:
    """One `Recognised` per series, in their order.

    The magnitudes of a multi-echo scan are measured; its other echoes and its phase belong to them. What has fewer than three gradient
    echoes is anatomy.
    """
    sets, failed = picture_sets(series)
    found = {id(one): Recognised("mr", "anatomy", str(error)) for one, error in failed}
    for group in join(sets):
        first, *others = (member.series for member in group)
        if measurable(group):
            found[id(first)] = Recognised("mri", "followup")
            found |= {id(one): Recognised("mri", "followup", f"belongs to series {first.uid}: read with it") for one in others}
        else:
            found |= {id(member.series): Recognised("mr", "anatomy") for member in group}
    return tuple(found[id(one)] for one in series)
