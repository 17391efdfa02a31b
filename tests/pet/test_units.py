"""Units and reference times as the IBSI reference objects vary them, written anew: each must give the same Bq/mL.

What is stored is computed here from the kind's own formula; the seven objects that are at hand are in test_real_data.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.pet.pet_cases import HALF_LIFE_S, INJECTION, START, calibrated, context_of, flat, image_of, statuses
from tracker.errors import InputError

F18, DOSE, KG, CM = HALF_LIFE_S["18F"], 368.08e6, 70.0, 175.0
FRAME_S = 300.0
TRUTH = flat() * 2 ** (-FRAME_S / 2 / F18)
# Ten digits of slope, float32 values.
EXACT = 3e-7
DOSE_AT_START = DOSE * 2 ** (-3600 / F18)

JAMES_M = 1.10 * KG - 128 * (KG / CM) ** 2
JAMES_F = 1.07 * KG - 148 * (KG / CM) ** 2
JANMA_M = 9270 * KG / (6680 + 216 * KG / 1.75**2)
JANMA_F = 9270 * KG / (8780 + 244 * KG / 1.75**2)
IDEAL_M, IDEAL_F = 48.0 + 1.06 * (CM - 152), 45.5 + 0.91 * (CM - 152)
MORGAN_M = 1.10 * KG - 120 * (KG / CM) ** 2
SURFACE_CM2 = 0.007184 * KG**0.425 * CM**0.725 * 1e4


@pytest.fixture
def person(write) -> Callable[..., Any]:
    """Writes a scan of a person and calibrates it: ``person(edit, constants, **options)``."""

    def run(edit: Callable[[Dataset], None] | None = None, constants: dict[str, Any] | None = None, **options: Any) -> Any:
        given = {"nuclide": "18F", "dose_bq": DOSE, "weight_kg": KG, "edit": edit} | options
        image = image_of(flat(), options.pop("frames", [(0, FRAME_S)]), HALF_LIFE_S[str(given["nuclide"])])
        given.pop("frames", None)
        path = write("classic", image, **given)
        return calibrated(
            path, context_of(path, str(given["nuclide"]), species="human", weight_g=70000.0, amount_bq=DOSE, constants=constants or {})
        )

    return run


def right(found: Any, truth: np.ndarray = TRUTH) -> None:
    np.testing.assert_allclose(np.asarray(found.values)[0], truth, rtol=EXACT)


def rescaled(factor: float, units: str, suv_type: str | None = None, **tags: Any) -> Callable[[Dataset], None]:
    """Stored in another unit: the slope times ``factor`` (unit per Bq/mL at the scan's start)."""

    def edit(ds: Dataset) -> None:
        ds.RescaleSlope = f"{float(ds.RescaleSlope) * factor:.9e}"
        ds.Units, ds.PatientSize, ds.PatientSex = units, CM / 100, "M"
        if suv_type is not None:
            ds.SUVType = suv_type
        for keyword, value in tags.items():
            setattr(ds, keyword, value)

    return edit


@pytest.mark.parametrize(
    ("units", "suv_type", "sex", "norm"),
    [
        ("GML", None, "M", KG * 1000),
        ("GML", "BW", "", KG * 1000),
        ("GML", "LBMJAMES128", "M", JAMES_M * 1000),
        ("GML", "LBMJAMES128", "F", JAMES_F * 1000),
        ("GML", "LBMJAMES128", "O", (JAMES_M + JAMES_F) / 2 * 1000),
        ("GML", "LBMJANMA", "M", JANMA_M * 1000),
        ("GML", "LBMJANMA", "F", JANMA_F * 1000),
        ("GML", "LBM", "M", MORGAN_M * 1000),
        ("GML", "IBW", "O", (IDEAL_M + IDEAL_F) / 2 * 1000),
        ("CM2ML", None, "M", SURFACE_CM2),
        ("CM2ML", "BSA", "", SURFACE_CM2),
    ],
)
def test_suvs_of_every_kind_are_turned_back(person, units, suv_type, sex, norm):
    found = person(rescaled(norm / DOSE_AT_START, units, suv_type, PatientSex=sex))
    right(found)
    assert found.unit == "Bq/mL" and "SUV" in found.method


def test_suvs_decay_corrected_to_the_administration(person):
    # Both the values and the dose are then those of the injection.
    right(person(rescaled(KG * 1000 / DOSE, "GML", "BW"), decay_correction="ADMIN"))


def test_suvs_are_turned_back_with_the_scanners_weight_and_dose_and_not_the_sheets(write):
    # The scanner divided by 82 kg; the sheet knows better, but the values do not.
    path = write(
        "classic", image_of(flat(), [(0, FRAME_S)], F18), dose_bq=DOSE, weight_kg=82.0, edit=rescaled(82000 / DOSE_AT_START, "GML")
    )
    found = calibrated(path, context_of(path, species="human", weight_g=70000.0, amount_bq=DOSE * 1.2))
    right(found)
    assert statuses(found.findings)["body_weight"] == "warn" and statuses(found.findings)["dose"] == "warn"


def philips(activity: float | None, suv: float | None, stored_per_bq_per_ml: float) -> Callable[[Dataset], None]:
    def edit(ds: Dataset) -> None:
        ds.RescaleSlope, ds.Units = f"{float(ds.RescaleSlope) * stored_per_bq_per_ml:.9e}", "CNTS"
        block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
        for element, value in ((0x00, suv), (0x09, activity)):
            if value is not None:
                block.add_new(element, "DS", f"{value:.9e}")

    return edit


CONSENT = {"accept_philips_counts": True}


def test_philips_counts_with_the_activity_factor(person):
    right(person(philips(3.25, None, 1 / 3.25), CONSENT))


def test_philips_counts_with_the_suv_factor(person):
    factor = 0.000728
    right(person(philips(None, factor, KG * 1000 / DOSE_AT_START / factor), CONSENT))


def test_philips_zero_means_absent(person):
    factor = 0.000728
    right(person(philips(0.0, factor, KG * 1000 / DOSE_AT_START / factor), CONSENT))


def test_philips_activity_factor_goes_before_the_suv_factor(person):
    right(person(philips(3.25, 77.0, 1 / 3.25), CONSENT))


def test_philips_factors_under_another_creator_are_never_read(person):
    def edit(ds: Dataset) -> None:
        ds.Units = "CNTS"
        ds.private_block(0x7053, "SOMEBODY ELSE", create=True).add_new(0x09, "DS", "3.25")

    with pytest.raises(InputError, match="units_counts"):
        person(edit, CONSENT)


def test_philips_factors_in_another_block_are_found(person):
    def edit(ds: Dataset) -> None:
        ds.private_block(0x7053, "SOMEBODY ELSE", create=True).add_new(0x09, "DS", "77")
        philips(3.25, None, 1 / 3.25)(ds)

    right(person(edit, CONSENT))


def test_philips_factors_that_differ_between_slices_are_refused(person):
    def edit(ds: Dataset) -> None:
        philips(3.25 if ds.InstanceNumber < 3 else 3.5, None, 1.0)(ds)

    with pytest.raises(InputError, match=r"mixed_series.*Philips"):
        person(edit, CONSENT)


# START with a series that was dated anew: six hours later, values and frame reference times as before.
LATER = {"series_later_s": 6 * 3600.0}


def test_start_is_computed_back_where_the_series_was_redated(person):
    found = person(**LATER)
    right(found)
    assert "back-computed" in found.method


def test_start_is_computed_back_for_ge_where_reference_times_count_to_the_frames_start(person):
    def edit(ds: Dataset) -> None:
        ds.Manufacturer, ds.FrameReferenceTime = "GE MEDICAL SYSTEMS", "0"

    right(person(edit, **LATER))


def test_the_same_reference_time_from_another_maker_is_refused(person):
    # 0 cannot be the time of the mean of a frame that starts with the scan.
    with pytest.raises(InputError, match="reference_time_inconsistent"):
        person(lambda ds: setattr(ds, "FrameReferenceTime", "0"), **LATER)


def private(group: int, creator: str | None, element: int, vr: str = "DT", minutes: float = 0.0) -> Callable[[Dataset], None]:
    def edit(ds: Dataset) -> None:
        del ds.FrameReferenceTime
        moment = (START + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S.00")
        ds.add_new((group, 0x1000 + element), vr, moment.encode() if vr == "UN" else moment)
        if creator is not None:
            ds.add_new((group, 0x0010), "LO", creator)

    return edit


@pytest.mark.parametrize(
    ("group", "creator", "element", "vr"),
    [
        (0x0009, "GEMS_PETD_01", 0x0D, "DT"),
        (0x0009, "GEMS_PETD_01", 0x0D, "UN"),
        (0x0009, None, 0x0D, "DT"),  # an anonymiser took the reservation away
        (0x0009, None, 0x0D, "UN"),
        (0x0071, "SIEMENS MED PT", 0x22, "DT"),
        (0x0071, None, 0x22, "DT"),
    ],
)
def test_the_makers_private_start_is_found(person, group, creator, element, vr):
    found = person(private(group, creator, element, vr), **LATER)
    right(found)
    assert "private" in found.method


def test_the_private_start_counts_and_not_the_acquisition(person):
    # The scan was corrected to a moment ten minutes before the acquisition: values are those of the earlier time.
    right(person(private(0x0009, "GEMS_PETD_01", 0x0D, minutes=-10), **LATER), TRUTH * 2 ** (-600 / F18))


def test_a_private_start_reserved_by_somebody_else_is_not_read(person):
    with pytest.raises(InputError, match="reference_time_unknown"):
        person(private(0x0009, "ELSE", 0x0D), **LATER)


@pytest.mark.parametrize("series", [{}, LATER])
def test_what_lies_in_the_private_place_without_being_a_time_is_no_obstacle(person, series):
    def edit(ds: Dataset) -> None:
        ds.add_new((0x0009, 0x100D), "LO", "not a time")

    right(person(edit, **series))


def only(keep: str) -> Callable[[Dataset], None]:
    def edit(ds: Dataset) -> None:
        item = ds.RadiopharmaceuticalInformationSequence[0]
        for keyword in ("RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime"):
            if keyword != keep:
                delattr(item, keyword)

    return edit


@pytest.mark.parametrize("keep", ["RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime"])
@pytest.mark.parametrize("correction", ["START", "ADMIN"])
def test_either_administration_time_alone_is_enough_for_a_short_lived_nuclide(person, keep, correction):
    found = person(only(keep), decay_correction=correction)
    right(found)
    assert statuses(found.findings)["injection_time"] == "ok"


def test_68ga(write):
    from pydicom.dataset import Dataset as Item

    def edit(ds: Dataset) -> None:
        item = ds.RadiopharmaceuticalInformationSequence[0]
        code = Item()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-131A3", "SRT", "^68^Gallium"
        item.RadionuclideCodeSequence, item.RadionuclideHalfLife, item.RadionuclidePositronFraction = [code], "4062.6", "0.8891"

    half_life = HALF_LIFE_S["68Ga"]
    path = write("classic", image_of(flat(), [(0, FRAME_S)], half_life), half_life_s=half_life, edit=edit)
    found = calibrated(path, context_of(path, "68Ga"))
    right(found, flat() * 2 ** (-FRAME_S / 2 / half_life))
    assert set(statuses(found.findings).values()) == {"ok"}


def test_midnight_between_injection_and_scan(write):
    late = {"injection": INJECTION.replace(hour=23, minute=30), "scan_start": INJECTION.replace(hour=0, minute=30) + timedelta(days=1)}
    for correction in ("START", "ADMIN"):
        path = write("classic", image_of(flat(), [(0, FRAME_S)], F18), name=correction, decay_correction=correction, **late)
        right(calibrated(path, context_of(path, dose_time=late["injection"])))


CONFIGURED = {"units_calibration_bq_per_ml_per_unit": 4.5}


@pytest.mark.parametrize("units", ["CNTS", "CPS", "PROPCPS", "PROPCNTS", "NONE"])
def test_a_configured_calibration_is_used_for_counts(person, units):
    def edit(ds: Dataset) -> None:
        ds.Units, ds.RescaleSlope = units, f"{float(ds.RescaleSlope) / 4.5:.9e}"

    right(person(edit, CONFIGURED))


def test_a_configured_calibration_never_touches_activities(person):
    right(person(constants=CONFIGURED))
