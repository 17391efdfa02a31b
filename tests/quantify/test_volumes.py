"""Organ masses against the animal's weight: what is plausible, what is not, and what is not looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tracker.mouse import mouse_grid, mouse_labels, organ_masses_g
from tracker.quantify.plan import Organ, make_plan
from tracker.quantify.volumes import volume_findings
from tracker.study.model import Context


def _organ(name: str, mass_g: float, measurable: bool = True) -> Organ:
    return Organ(name, 100, mass_g / 1.05, mass_g, measurable, ())


def _warned(organs: list[Organ], context: Context) -> list[str]:
    return [f.reason for f in volume_findings(organs, context) if f.status == "warn"]


@pytest.mark.parametrize("weight_g", [18.0, 25.0, 40.0])
def test_the_parametric_mouse_is_plausible(weight_g: float, context: Context) -> None:
    told = replace(context, subject=replace(context.subject, body_weight_g=weight_g))
    organs = make_plan(mouse_labels(weight_g, mouse_grid(weight_g, 0.8)), told).organs
    (found,) = volume_findings(organs, told)
    assert (found.check, found.status) == ("organ_volume", "ok")
    for name in ("brain", "heart", "lung_left", "lung_right", "liver", "spleen", "stomach", "kidney_left", "kidney_right"):
        assert name in found.reason
    assert "rest" not in found.reason and "bone" not in found.reason


@pytest.mark.parametrize(
    ("name", "times"), [("liver", 2.5), ("liver", 0.4), ("Brain", 3.0), ("kidneys", 2.2), ("spleen", 5.0), ("lungs", 0.1)]
)
def test_too_large_or_small_is_told_with_the_number(name: str, times: float, context: Context) -> None:
    usual = organ_masses_g(25.0)
    kind = name.lower().removesuffix("s")
    mass_g = usual[kind] if kind in usual else usual[f"{kind}_left"] + usual[f"{kind}_right"]
    assert not _warned([_organ(name, mass_g)], context)
    (reason,) = _warned([_organ(name, times * mass_g)], context)
    assert reason.startswith(name) and "25 g" in reason and "Brown" in reason


def test_sides_of_a_pair_count_together_and_one_as_half(context: Context) -> None:
    assert not _warned([_organ("kidney_left", 0.1), _organ("right_kidney", 0.32)], context)
    assert _warned([_organ("kidney_left", 0.5), _organ("right_kidney", 0.5)], context)
    # Half of a pair's 0.42 g is 0.21 g.
    assert not _warned([_organ("kidney_l", 0.4)], context)
    assert _warned([_organ("kidney_l", 0.45)], context)


def test_the_weight_of_the_day_counts(context: Context) -> None:
    organs = [_organ("liver", 3.0)]
    assert _warned(organs, context)
    assert not _warned(organs, replace(context, acquisition=replace(context.acquisition, body_weight_g=45.0)))
    rat = replace(context, subject=replace(context.subject, species="Rat", body_weight_g=300.0))
    assert not _warned([_organ("liver", 11.0)], rat) and _warned([_organ("liver", 3.0)], rat)


def test_parts_cut_organs_and_other_names_are_not_judged(context: Context) -> None:
    odd = [_organ("liver", 9.0, measurable=False), _organ("kidney_cortex", 9.0), _organ("left_liver_lobe", 9.0), _organ("tumour", 9.0)]
    (found,) = volume_findings([*odd, replace(_organ("brain", 1.0), mass_g=None)], context)
    assert (found.check, found.status) == ("organ_volume_unchecked", "ok") and "not checked" in found.reason


def test_another_species_is_not_said_to_be_right(human: Context) -> None:
    (found,) = volume_findings([_organ("liver", 1.0)], human)
    assert (found.check, found.status) == ("organ_volume_unchecked", "ok") and "human" in found.reason
