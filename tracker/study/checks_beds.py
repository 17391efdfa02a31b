"""The beds sheet in the light of the acquisitions: each shared scan has all its animals, each in a place of its own that can be told."""

from __future__ import annotations

from collections import defaultdict

from tracker.errors import InputError
from tracker.study.draft import Draft, Placed, absolute
from tracker.study.near import listed
from tracker.study.rows import Bed

_Scan = tuple[object, ...]


def check_beds(draft: Draft) -> list[InputError]:
    """What is wrong with the rows of each shared scan: no or two views, numbers beside names, a place twice, an animal without a row."""
    groups: dict[_Scan, list[Placed[Bed]]] = defaultdict(list)
    for one in draft.beds:
        groups[one.row.session, one.row.modality, absolute(draft.root, one.row.path)].append(one)
    errors = [error for group in groups.values() for error in (*_views(group), *_positions(group))]
    return errors + (_without_row(groups, draft) if draft.tables["beds"].complete else [])


def _views(group: list[Placed[Bed]]) -> list[InputError]:
    """Left and right, above and below mean nothing until somebody says who looks; one bed is looked at from one side."""
    stated = list(dict.fromkeys(one.row.view for one in group if one.row.view))
    errors = []
    for one in group if len(group) > 1 else ():
        position, where = one.row.position, one.record.at("view")
        if not one.row.view and position != "centre":
            what, do = "whose left and right is this position?", "fill in the column view for every animal of the bed"
            errors.append(InputError("view_missing", what, found=position, expected="technician or image", where=where, do=do))
        elif len(stated) > 1 and one.row.view and one.row.view != stated[0]:
            what, do = "one bed in two views", "write all its positions as seen from one side"
            errors.append(InputError("view_mixed", what, found=one.row.view, expected=stated[0], where=where, do=do))
    return errors


def _positions(group: list[Placed[Bed]]) -> list[InputError]:
    first: dict[str, Placed[Bed]] = {}
    errors = []
    for one in group:
        position, where = one.row.position, one.record.at("position")
        if position.isdigit() != group[0].row.position.isdigit():
            what, do = "numbers and names of places in one bed", "use the one or the other"
            expected = f"as {group[0].row.position} in line {group[0].record.line}"
            errors.append(InputError("positions_mixed", what, found=position, expected=expected, where=where, do=do))
        # The same path may be spelt in two ways: the sheet's own check for doubles does not see that.
        elif position in first and one.row.path != first[position].row.path:
            what, do = f"the same place as in line {first[position].record.line}", "correct one of the two rows"
            errors.append(InputError("duplicate_row", what, found=position, expected="a place of its own", where=where, do=do))
        first.setdefault(position, one)
    return errors


def _without_row(groups: dict[_Scan, list[Placed[Bed]]], draft: Draft) -> list[InputError]:
    """Animals that acquisitions put into a scan whose beds rows leave them out: the count of bodies could not agree."""
    errors = []
    for one in draft.acquisitions:
        group = groups.get((one.row.session, one.row.modality, one.row.path), [])
        names = [bed.row.subject for bed in group]
        if group and one.row.subject not in names:
            what, where = "an animal of a shared scan has no row in beds", one.record.at("subject")
            do = "add its row, or correct the path"
            errors.append(InputError("bed_missing", what, found=one.row.subject, expected=listed(names), where=where, do=do))
    return errors
