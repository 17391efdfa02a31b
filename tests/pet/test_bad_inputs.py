"""What bad input gets, row by row of the list of bad inputs: an error that says found, expected and what to do, or a finding.

Rows that other files hold: 1 and 4 (correct), 9 (doses sheet); 29-32, 35-38 and 40 at the level of files are in tests/dicom.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.pet.pet_cases import HALF_LIFE_S, INJECTION, START, calibrated, context_of, flat, image_of, statuses
from tracker.errors import Finding, InputError
from tracker.image import Quantity

F18, ZR89 = HALF_LIFE_S["18F"], HALF_LIFE_S["89Zr"]
TRUTH = flat() * 2 ** (-300 / F18)
EXACT = 3e-7  # ten digits of slope, float32 values
Edit = Callable[[Dataset], None]


@pytest.fixture
def folder(write) -> Callable[..., Path]:
    """A static 18F scan of four slices and ten minutes, with faults."""

    def make(edit: Edit | None = None, frames: Any = ((0, 600),), **options: Any) -> Path:
        return write("classic", image_of(flat(), list(frames), HALF_LIFE_S[str(options.get("nuclide", "18F"))]), edit=edit, **options)

    return make


def tracer(**tags: Any) -> Edit:
    """Sets tags of the radiopharmaceutical's item; None removes one."""

    def edit(ds: Dataset) -> None:
        item = ds.RadiopharmaceuticalInformationSequence[0]
        for keyword, value in tags.items():
            if value is None:
                delattr(item, keyword)
            else:
                setattr(item, keyword, value)

    return edit


def tags(**values: Any) -> Edit:
    def edit(ds: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)

    return edit


def refused(path: Path, context: Any, code: str) -> InputError:
    with pytest.raises(InputError) as raised:
        np.asarray(calibrated(path, context).values)
    assert raised.value.code == code, str(raised.value)
    assert raised.value.found and raised.value.expected, "an error says what was found and expected"
    return raised.value


def finding(found: Quantity, check: str) -> Finding:
    (one,) = [f for f in found.findings if f.check == check]
    return one


def right(found: Quantity, truth: np.ndarray = TRUTH) -> None:
    np.testing.assert_allclose(np.asarray(found.values)[0], truth, rtol=EXACT)


def test_no_fault_no_warning(folder):
    path = folder()
    found = calibrated(path, context_of(path))
    right(found)
    assert set(statuses(found.findings).values()) == {"ok"}


# Dose, time, decay


@pytest.mark.parametrize("correction", ["START", "ADMIN"])
def test_row_05_an_injection_time_without_date_is_taken_where_only_one_day_is_possible(folder, correction):
    path = folder(tracer(RadiopharmaceuticalStartDateTime=None), decay_correction=correction)
    right(calibrated(path, context_of(path)))
    # The same where the sheet disagrees by ten minutes: the scanner corrected with its own time, and the disagreement is told.
    found = calibrated(path, context_of(path, dose_time=INJECTION + timedelta(minutes=10)))
    right(found)
    assert finding(found, "injection_time").status == "warn" and "10:10:00" in finding(found, "injection_time").reason


def test_row_05_without_date_and_more_than_some_hours_before_it_must_be_confirmed(folder):
    # 13:00 and a scan at 11:00: the day before, 22 hours or twelve half-lives ago? Nobody says so.
    path = folder(tracer(RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="130000"), decay_correction="ADMIN")
    refused(path, context_of(path), "reference_time_unknown")


@pytest.mark.parametrize("dated", [True, False])
def test_row_06_midnight_is_crossed_with_or_without_a_date_where_the_sheet_has_one(folder, dated):
    injection = datetime(2026, 3, 2, 23, 40)
    edit = None if dated else tracer(RadiopharmaceuticalStartDateTime=None)
    path = folder(edit, injection=injection, scan_start=injection + timedelta(hours=1), decay_correction="ADMIN")
    found = calibrated(path, context_of(path, dose_time=injection))
    right(found)
    assert found.times.origin.day == 3


def test_row_06_a_scan_across_midnight_without_acquisition_date_is_asked_about(folder):
    start = datetime(2026, 3, 2, 23, 55)
    path = folder(tags(AcquisitionDate=None), frames=[(0, 600), (600, 600)], scan_start=start, injection=start - timedelta(hours=1))
    error = refused(path, context_of(path, dose_time=start - timedelta(hours=1)), "acquisition_time_missing")
    assert "AcquisitionDate" in error.found


@pytest.mark.parametrize("correction", ["START", "ADMIN"])
def test_row_07_an_injection_days_before_needs_its_date(folder, correction):
    injection = START - timedelta(days=7, hours=1)
    edit = tracer(RadiopharmaceuticalStartDateTime=None)
    path = folder(edit, nuclide="89Zr", injection=injection, decay_correction=correction)
    context = context_of(path, "89Zr", dose_time=injection)
    if correction == "START":
        # The values do not depend on the injection.
        found = calibrated(path, context)
        right(found, flat() * 2 ** (-300 / ZR89))
        assert finding(found, "injection_time").status == "warn"
    else:
        # 10:00 of which day? Taking the scan's would be wrong by a factor of 4.4.
        refused(path, context, "reference_time_unknown")


def test_row_07_a_dated_injection_days_before_needs_no_warning(folder):
    injection = START - timedelta(days=7, hours=1)
    path = folder(nuclide="89Zr", injection=injection, decay_correction="ADMIN")
    found = calibrated(path, context_of(path, "89Zr", dose_time=injection))
    right(found, flat() * 2 ** (-300 / ZR89))
    assert finding(found, "injection_time").status == "ok"


def test_row_07_a_delay_of_many_half_lives_is_a_wrong_date(folder):
    path = folder(injection=START - timedelta(days=2))
    error = refused(path, context_of(path, dose_time=START - timedelta(days=2)), "uptake_too_long")
    assert "26.2 half-lives of 18F" in error.found and "max_uptake_half_lives" in error.expected
    calibrated(path, context_of(path, dose_time=START - timedelta(days=2), constants={"max_uptake_half_lives": 30.0}))


@pytest.mark.parametrize("offset_s", [-600.0, 600.0])
def test_row_08_clocks_that_differ_are_brought_together_by_the_config(folder, offset_s):
    path = folder()
    # The lab's clock is ahead of the scanner's by offset_s: the sheet's injection is the same event with another reading.
    context = context_of(path, dose_time=INJECTION + timedelta(seconds=offset_s), constants={"clock_offset_s": offset_s})
    found = calibrated(path, context)
    right(found)
    assert found.times.origin == START + timedelta(seconds=offset_s)
    assert finding(found, "injection_time").status == "ok"
    without = calibrated(path, context_of(path, dose_time=INJECTION + timedelta(seconds=offset_s)))
    assert finding(without, "injection_time").status == "warn" and without.times.origin == START


def test_row_08_an_offset_from_utc_in_the_header_is_kept(folder):
    path = folder(timezone="+0100")
    found = calibrated(path, context_of(path))
    right(found)
    assert found.times.origin.utcoffset() == timedelta(hours=1)
    # A sheet with an offset of its own is compared as moments: 09:00 UTC is 10:00 here.
    utc = datetime.fromisoformat("2026-03-02T09:00+00:00")
    assert finding(calibrated(path, context_of(path, dose_time=utc)), "injection_time").status == "ok"


def test_row_08_a_dose_time_in_the_header_without_a_suffix_has_the_files_offset(folder):
    # (0008,0201) holds for DA, TM and every DT without a suffix of its own.
    path = folder(tracer(RadiopharmaceuticalStartDateTime="20260302100000"), timezone="+0100", decay_correction="ADMIN")
    utc = datetime.fromisoformat("2026-03-02T09:00+00:00")
    found = calibrated(path, context_of(path, dose_time=utc))
    right(found)
    assert finding(found, "injection_time").status == "ok"


def test_row_08_an_offset_that_is_none_is_refused(folder):
    path = folder(tags(TimezoneOffsetFromUTC="CET+1"))
    refused(path, context_of(path), "bad_time")


def test_row_09_and_10_two_administration_times_that_disagree_are_never_chosen_between(folder):
    # One of them may be the assay.
    path = folder(tracer(RadiopharmaceuticalStartTime="093000"), decay_correction="ADMIN")
    right(calibrated(path, context_of(path)))  # the sheet confirms the dated one
    refused(path, context_of(path, dose_time=INJECTION + timedelta(minutes=15)), "reference_time_unknown")
    # START needs neither: the disagreement is told.
    path = folder(tracer(RadiopharmaceuticalStartTime="093000"), name="start")
    found = calibrated(path, context_of(path))
    right(found)
    assert finding(found, "injection_time").status == "warn" and "09:30:00" in finding(found, "injection_time").reason


def test_row_10_a_dated_injection_after_the_scan_counts_only_if_nothing_else_does(folder):
    # A real case: the date is a day late, the time of day right.
    path = folder(tracer(RadiopharmaceuticalStartDateTime="20260303100000"), decay_correction="ADMIN")
    found = calibrated(path, context_of(path))
    right(found)
    assert finding(found, "injection_time").status == "warn" and "2026-03-03" in finding(found, "injection_time").reason
    refused(path, context_of(path, dose_time=INJECTION - timedelta(hours=3)), "reference_time_unknown")


def gml(edit_tracer: Edit | None = None, norm_g: float = 25.0) -> Edit:
    def edit(ds: Dataset) -> None:
        ds.Units, ds.RescaleSlope = "GML", f"{float(ds.RescaleSlope) * norm_g / (8e6 * 2 ** (-3600 / F18)):.9e}"
        if edit_tracer is not None:
            edit_tracer(ds)

    return edit


def test_row_11_a_dose_in_mbq_is_taken_only_where_the_sheet_says_so(folder):
    path = folder(gml(tracer(RadionuclideTotalDose="8")))
    found = calibrated(path, context_of(path, amount_bq=8e6))
    right(found)
    assert finding(found, "header_dose_unit").status == "warn"
    error = refused(path, context_of(path, amount_bq=300e6), "dose_unit_unclear")
    assert error.found == "8" and "3e+08" in error.expected


def test_row_11_a_small_dose_in_bq_is_one_where_the_sheet_says_so(folder):
    # A few kBq of 89Zr in labelled cells are a real dose.
    def edit(ds: Dataset) -> None:
        ds.Units, ds.RescaleSlope = "GML", f"{float(ds.RescaleSlope) * 25.0 / (8000 * 2 ** (-3600 / F18)):.9e}"

    path = folder(edit, dose_bq=8000.0)
    right(calibrated(path, context_of(path, amount_bq=8000.0)))


def test_row_13_a_missing_half_life_is_the_nuclides_and_told(folder):
    path = folder(tracer(RadionuclideHalfLife=None))
    found = calibrated(path, context_of(path))
    right(found)
    assert finding(found, "half_life").status == "warn" and "6586.2" in finding(found, "half_life").reason


def test_row_13_a_half_life_beyond_tolerance_is_told(folder):
    path = folder(half_life_s=6700.0)
    found = calibrated(path, context_of(path))
    assert finding(found, "half_life").status == "warn" and "6700" in finding(found, "half_life").reason
    lax = calibrated(path, context_of(path, constants={"half_life_tolerance_percent": 3.0}))
    assert finding(lax, "half_life").status == "ok"


@pytest.mark.parametrize("half_life", ["4062.6", "109.77"])  # 68Ga; 18F in minutes
def test_row_13_another_nuclides_half_life_is_refused(folder, half_life):
    path = folder(tracer(RadionuclideHalfLife=half_life))
    error = refused(path, context_of(path), "nuclide_mismatch")
    assert half_life.rstrip("0") in error.found and "6586.2" in error.expected and "18F" in error.expected


def test_row_13_an_unknown_nuclide_in_the_sheet_has_no_default(folder):
    path = folder()
    error = refused(path, context_of(path, "Unobtainium-7"), "unknown_nuclide")
    assert "no default" in error.do


@pytest.mark.parametrize("half_life", ["6586.2", None])
def test_row_14_another_nuclide_named_in_the_header_is_refused(folder, half_life):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-131A3", "SRT", "^68^Gallium"
    path = folder(tracer(RadionuclideCodeSequence=[code], RadionuclideHalfLife=half_life))
    error = refused(path, context_of(path), "nuclide_mismatch")
    assert error.found == "68Ga" and "18F" in error.expected
    consent = {"accept_other_nuclide": True}
    if half_life:
        right(calibrated(path, context_of(path, constants=consent)))
    else:
        # With which half-life the scanner corrected is then unknown: consent does not help.
        refused(path, context_of(path, constants=consent), "half_life_missing")


@pytest.mark.parametrize("text", ["", "FDG", "fluor eighteen"])
def test_row_14_free_text_or_no_code_leaves_the_sheet_to_name_the_nuclide(folder, text):
    code = Dataset()
    code.CodeMeaning = text
    path = folder(tracer(RadionuclideCodeSequence=[code] if text else []))
    right(calibrated(path, context_of(path)))


def test_row_14_a_label_that_does_not_radiate_is_refused(folder):
    path = folder()
    refused(path, context_of(path, kind="iron"), "label_not_radioactive")


def test_row_14_two_radiopharmaceuticals_are_refused(folder):
    def edit(ds: Dataset) -> None:
        ds.RadiopharmaceuticalInformationSequence = [*ds.RadiopharmaceuticalInformationSequence] * 2

    path = folder(edit)
    assert refused(path, context_of(path), "several_tracers").found == "2"


def test_row_14_a_tracer_that_changes_within_the_series_is_refused(folder):
    def edit(ds: Dataset) -> None:
        if ds.InstanceNumber == 3:
            ds.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = "1e6"

    path = folder(edit)
    refused(path, context_of(path), "mixed_series")


def test_row_15_counts_without_a_scale_are_refused(folder):
    path = folder(tags(Units="CNTS"))
    assert "BQML" in refused(path, context_of(path), "units_counts").do


def test_row_15_counts_with_philips_scale_need_consent(folder):
    path = folder(units="CNTS")
    error = refused(path, context_of(path), "units_philips_counts")
    assert "accept_philips_counts" in error.do
    right(calibrated(path, context_of(path, constants={"accept_philips_counts": True})))


@pytest.mark.parametrize(
    ("units", "word"), [("PROPCPS", "PROPCPS"), ("CPS", "CPS"), ("NONE", "NONE"), ("1CM", "1CM"), ("", "missing"), ("PCNT", "PCNT")]
)
def test_row_16_units_that_are_no_activity_are_refused(folder, units, word):
    path = folder(tags(Units=units))
    error = refused(path, context_of(path), "units_unsupported")
    assert word in error.found and "BQML" in error.expected


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (tags(PatientWeight=None), "suv_needs_patientweight"),
        (tags(PatientWeight="0"), "suv_needs_patientweight"),
        (tracer(RadionuclideTotalDose=None), "suv_needs_dose"),
        (tracer(RadionuclideTotalDose="0"), "suv_needs_dose"),
        (tracer(RadiopharmaceuticalStartTime=None, RadiopharmaceuticalStartDateTime=None), "suv_needs_dose"),
        (tags(SUVType="LBM"), "suv_needs_patientsize"),
        (tags(SUVType="LBM", PatientSize="0.1"), "suv_human_formula"),
        (tags(SUVType="SUL"), "suv_type_unknown"),
        (tags(PatientWeight="-0.025"), "negative_header_value"),
        (tracer(RadionuclideTotalDose="-8e6"), "negative_header_value"),
    ],
)
def test_row_16_suvs_without_what_they_were_divided_by_are_refused(folder, edit, code):
    def both(ds: Dataset) -> None:
        gml()(ds)
        edit(ds)

    path = folder(both)
    refused(path, context_of(path), code)


def test_row_16_a_header_without_tracer_still_gives_activity_but_no_suv(folder):
    path = folder(tags(RadiopharmaceuticalInformationSequence=None))
    right(calibrated(path, context_of(path)))
    path = folder(lambda ds: (gml()(ds), tags(RadiopharmaceuticalInformationSequence=None)(ds)), name="suv")
    refused(path, context_of(path), "suv_needs_dose")


def test_row_17_uncorrected_frames_are_corrected_exactly(folder):
    path = folder(decay_correction="NONE", frames=[(0, 3600)])
    found = calibrated(path, context_of(path))
    right(found, flat() * 2 ** (-1800 / F18))
    assert "not corrected" in found.method


def test_row_18_values_at_the_administration_are_not_corrected_twice(folder):
    path = folder(decay_correction="ADMIN")
    found = calibrated(path, context_of(path))
    right(found)
    assert "administration" in found.method


def test_row_18_admin_without_its_time_is_refused(folder):
    path = folder(tracer(RadiopharmaceuticalStartTime=None, RadiopharmaceuticalStartDateTime=None), decay_correction="ADMIN")
    refused(path, context_of(path), "reference_time_unknown")


def test_row_19_a_redated_series_without_reference_times_is_refused(folder):
    path = folder(tags(FrameReferenceTime=None), series_later_s=7200.0)
    error = refused(path, context_of(path), "reference_time_unknown")
    assert "13:00" in error.found and "11:00" in error.found


@pytest.mark.parametrize(
    ("listed", "lacking"),
    [
        (("ATTN", "SCAT", "RAN", "NORM"), "dead time"),
        (("SCAT", "RAN", "NORM", "DTIM"), "attenuation"),
        ((), "attenuation, scatter, normalisation, dead time, randoms"),
    ],
)
def test_row_20_missing_corrections_are_told(folder, listed, lacking):
    path = folder(corrected=listed)
    found = calibrated(path, context_of(path))
    assert finding(found, "corrections_missing").status == "warn" and lacking in finding(found, "corrections_missing").reason


def test_row_20_no_list_at_all_is_told(folder):
    path = folder(tags(CorrectedImage=None))
    assert finding(calibrated(path, context_of(path)), "corrections_missing").status == "warn"


@pytest.mark.parametrize(("correction", "listed"), [("START", ["ATTN"]), ("NONE", ["ATTN", "DECY"]), ("ADMIN", "NORM")])
def test_row_20_a_decay_correction_that_is_and_is_not_is_refused(folder, correction, listed):
    path = folder(tags(CorrectedImage=listed), decay_correction=correction)
    assert correction in refused(path, context_of(path), "decay_contradiction").found


def test_row_21_a_decay_factor_against_the_times_is_refused(folder):
    path = folder(tags(DecayFactor="1.5"))
    error = refused(path, context_of(path), "decay_factor_contradicts_times")
    assert error.found == "1.5" and error.expected.startswith("1.0319")


TWO = [(0.0, 600.0), (600.0, 600.0)]


@pytest.mark.parametrize("edit", [tags(ActualFrameDuration=None), tags(ActualFrameDuration="0")])
@pytest.mark.parametrize(("frames", "correction"), [(TWO, "START"), ([(0.0, 600.0)], "NONE")])
def test_row_22_frame_durations_that_are_needed_and_missing_are_refused(folder, edit, frames, correction):
    path = folder(edit, frames=frames, decay_correction=correction)
    refused(path, context_of(path), "frame_duration_missing")


def test_row_22_overlapping_frames_are_refused(folder):
    path = folder(frames=[(0.0, 600.0), (300.0, 600.0)])
    assert refused(path, context_of(path), "frames_overlap").found.startswith("300 s")


def test_row_22_gaps_are_told(folder):
    path = folder(frames=[(0.0, 600.0), (700.0, 600.0), (1300.0, 60.0)])
    found = calibrated(path, context_of(path))
    assert finding(found, "frame_gaps").status == "warn" and "100 s" in finding(found, "frame_gaps").reason
    np.testing.assert_allclose(np.asarray(found.values)[1], flat() * 2 ** (-1000 / F18), rtol=EXACT)


def test_row_23_file_names_and_instance_numbers_do_not_order_frames(folder):
    def edit(ds: Dataset) -> None:
        ds.InstanceNumber = 100 - ds.InstanceNumber

    path = folder(edit, frames=[(0.0, 60.0), (60.0, 600.0), (660.0, 60.0)], shuffled=True)
    found = calibrated(path, context_of(path))
    for t, middle_s in enumerate((30, 360, 690)):
        np.testing.assert_allclose(np.asarray(found.values)[t], flat() * 2 ** (-middle_s / F18), rtol=EXACT)


@pytest.mark.parametrize(
    ("constants", "factor", "status"),
    [
        ({}, 1.0, "warn"),
        ({"branching_applied": "yes"}, 1.0, None),
        ({"branching_applied": "no"}, 1 / 0.1741, "ok"),
        ({"branching_fraction_scanner": 0.184}, 0.184 / 0.1741, "ok"),
    ],
)
def test_row_24_the_positron_fraction_is_asked_for_and_never_assumed(folder, constants, factor, status):
    # The CTI table's 0.184 for 64Cu is 5.7 % from ICRP's.
    path = folder(tracer(RadionuclidePositronFraction="0.184"), nuclide="64Cu")
    found = calibrated(path, context_of(path, "64Cu", constants=constants))
    right(found, flat() * 2 ** (-300 / HALF_LIFE_S["64Cu"]) * factor)
    assert statuses(found.findings).get("branching") == status
    if status == "warn":
        assert "0.1741" in finding(found, "branching").reason and "0.184" in finding(found, "branching").reason


# Geometry and files


def extra(path: Path, name: str, change: Edit, source: int = 0) -> None:
    ds = pydicom.dcmread(sorted(path.iterdir())[source])
    change(ds)
    ds.save_as(path / name)


def test_row_26_a_ct_in_the_same_folder_is_left_out_and_told(folder):
    path = folder()
    extra(path, "ct.dcm", tags(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SeriesInstanceUID="1.2.9", SOPInstanceUID="1.2.9.1"))
    found = calibrated(path, context_of(path))
    right(found)
    assert finding(found, "other_series").status == "ok"


def test_row_26_two_pet_series_are_asked_about_and_named_by_the_sheet(folder):
    path = folder()
    for n in range(4):
        extra(path, f"o{n}.dcm", tags(SeriesInstanceUID="1.2.9", SeriesNumber=7, SOPInstanceUID=f"1.2.9.{n}", RescaleSlope="1"), n)
    error = refused(path, context_of(path), "series_ambiguous")
    assert "1.2.9" in error.found and "series 7" in error.found
    right(calibrated(path, context_of(path, series="1")))
    assert not np.allclose(np.asarray(calibrated(path, context_of(path, series="1.2.9")).values)[0], TRUTH)


def test_row_27_a_capture_with_the_series_uid_is_split_off_and_told(folder):
    path = folder()
    extra(path, "capture.dcm", tags(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="1.2.9.9"))
    found = calibrated(path, context_of(path))
    right(found)
    assert finding(found, "series_split").status == "warn" and "1 file" in finding(found, "series_split").reason


def test_row_28_duplicates_are_dropped_and_counted(folder):
    path = folder()
    for n, file in enumerate(sorted(path.iterdir())[:2]):
        shutil.copy(file, path / f"copy{n}.dcm")
    found = calibrated(path, context_of(path))
    right(found)
    assert finding(found, "files_duplicate").reason.startswith("2 file(s)")


def test_row_29_duplicates_with_other_pixels_or_slopes_are_refused(folder):
    path = folder()
    extra(path, "copy.dcm", tags(RescaleSlope="3.5"))
    assert "copy.dcm" in refused(path, context_of(path), "duplicate_uid_different_pixels").found


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_row_30_a_missing_slice_is_found_even_at_the_ends(folder, gone):
    path = folder()
    sorted(path.iterdir())[gone].unlink()
    refused(path, context_of(path), "missing_slice")


@pytest.mark.parametrize("gone", [0, 3, 5, 7])
def test_row_30_a_missing_slice_in_one_frame(folder, gone):
    path = folder(frames=TWO)
    sorted(path.iterdir())[gone].unlink()
    refused(path, context_of(path), "missing_slice")


def test_row_30_a_whole_frame_that_is_missing(folder):
    path = folder(frames=[*TWO, (1200.0, 600.0)])
    for file in sorted(path.iterdir())[4:8]:
        file.unlink()
    error = refused(path, context_of(path), "missing_slice")
    assert error.found == "8 files" and "4 × NumberOfTimeSlices 3" in error.expected


def test_row_31_irregular_spacing(folder):
    def edit(ds: Dataset) -> None:
        if ds.InstanceNumber == 2:
            ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], float(ds.ImagePositionPatient[2]) + 0.7]

    path = folder(edit)
    refused(path, context_of(path), "irregular_spacing")


def test_row_32_slice_thickness_is_not_the_spacing(folder):
    path = folder(tags(SliceThickness="3.27"))
    found = calibrated(path, context_of(path))
    right(found)
    assert abs(found.grid.affine[2, 2]) == 2.0 and finding(found, "slice_thickness").status == "warn"


def test_row_33_slopes_are_taken_slice_by_slice(folder):
    factors = {1: 1.0, 2: 10.0, 3: 0.01, 4: 1e4}

    def edit(ds: Dataset) -> None:
        ds.RescaleSlope = f"{float(ds.RescaleSlope) * factors[ds.InstanceNumber]:.9e}"

    path = folder(edit)
    right(calibrated(path, context_of(path)), TRUTH * np.array([1.0, 10.0, 0.01, 1e4])[:, None, None])


@pytest.mark.parametrize("slope", [None, "0", "-1"])
def test_row_33_a_slope_that_is_none_is_refused(folder, slope):
    path = folder(tags(RescaleSlope=slope))
    refused(path, context_of(path), "rescale_slope")


@pytest.mark.parametrize("which", [1, 4])
def test_row_34_an_intercept_is_refused_in_any_slice(folder, which):
    def edit(ds: Dataset) -> None:
        if ds.InstanceNumber == which:
            ds.RescaleIntercept = "-12.5"

    path = folder(edit)
    error = refused(path, context_of(path), "rescale_intercept")
    assert error.found == "-12.5" and error.expected == "0"


def test_row_35_litter_is_skipped_and_counted(folder):
    path = folder()
    (path / ".DS_Store").write_bytes(b"x")
    (path / "Thumbs.db").write_bytes(b"x")
    (path / "notes.txt").write_text("late")
    (path / "empty.dcm").write_bytes(b"")
    found = calibrated(path, context_of(path))
    right(found)
    by = statuses(found.findings)
    assert (by["files_litter"], by["files_not_dicom"], by["files_empty"]) == ("ok", "ok", "warn")


def test_row_35_truncated_pixels_name_the_file(folder):
    path = folder()
    file = sorted(path.iterdir())[2]
    file.write_bytes(file.read_bytes()[:-11])
    error = refused(path, context_of(path), "truncated_pixels")
    assert error.where == str(file) and error.found.startswith("19 bytes") and error.expected.startswith("30 bytes")


def test_row_35_a_slice_cut_before_its_pixels_is_missed_and_told(folder):
    path = folder(tags(NumberOfSlices=None))
    file = sorted(path.iterdir())[3]
    content = file.read_bytes()
    file.write_bytes(content[: content.index(b"\xe0\x7f\x10\x00")])
    found = calibrated(path, context_of(path))
    # Nothing announces a fourth slice: three are a volume, and the cut file is warned of.
    assert found.grid.shape[0] == 3 and finding(found, "files_no_pixels").status == "warn"


@pytest.mark.parametrize("content", [b"", b"not dicom at all" * 100])
def test_row_35_a_folder_without_any_dicom_says_what_it_holds(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    error = refused(tmp_path, context_of(tmp_path), "no_series")
    assert "1 other file(s)" in error.found and ("empty" in error.found or "not_dicom" in error.found)


def test_row_36_a_compressed_series_is_read(folder):
    path = folder()
    for file in path.iterdir():
        ds = pydicom.dcmread(file)
        ds.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        ds.save_as(file)
    right(calibrated(path, context_of(path)))


def test_row_36_no_decoder_names_the_package(folder):
    path = folder()
    for file in path.iterdir():
        ds = pydicom.dcmread(file)
        ds.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
        ds.save_as(file)
    assert "python-gdcm" in refused(path, context_of(path), "no_decoder").do


def test_row_37_deflated_files_are_refused_in_words(folder):
    path = folder()
    for file in path.iterdir():
        ds = pydicom.dcmread(file)
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
        ds.save_as(file)
    error = refused(path, context_of(path), "no_series")
    assert "deflated" in error.found and "uncompressed" in error.found


def test_row_38_an_absurd_matrix_is_refused(folder):
    path = folder(tags(Rows=65535, Columns=65535, NumberOfFrames="100000"))
    refused(path, context_of(path), "pixel_size")


@pytest.mark.parametrize(
    ("sop_class", "words"), [("1.2.840.10008.5.1.4.1.1.128.1", "legacy converted"), ("1.2.840.10008.5.1.4.1.1.7", "not an image class")]
)
def test_row_39_other_image_classes_are_refused_in_words(folder, sop_class, words):
    path = folder(tags(SOPClassUID=sop_class))
    error = refused(path, context_of(path), "sop_class_unsupported")
    assert words in error.what and error.found == sop_class and "original" in error.do


def test_row_40_bits_that_do_not_fit_the_data(folder):
    path = folder(tags(BitsAllocated=32, BitsStored=32, HighBit=31))
    refused(path, context_of(path), "truncated_pixels")


def test_row_41_a_path_that_is_not_ascii(folder):
    path = folder(name="Maus Nr. 7 – späte Aufnahme 小鼠")
    right(calibrated(path, context_of(path)))


def test_row_42_links_in_circles_and_out_of_the_folder(folder, tmp_path):
    path = folder()
    (path / "loop").symlink_to(path)
    (path / "self").symlink_to(path / "self")
    outside = tmp_path / "outside.dcm"
    shutil.move(sorted(p for p in path.iterdir() if p.suffix == ".dcm")[3], outside)
    (path / "link.dcm").symlink_to(outside)
    refused(path, context_of(path), "missing_slice")
    (path / "link.dcm").unlink()
    shutil.move(outside, path / "back.dcm")
    found = calibrated(path, context_of(path))
    right(found)
    assert finding(found, "files_broken_link").status == "warn"


def test_a_missing_path(tmp_path):
    refused(tmp_path / "nowhere", context_of(tmp_path), "path_missing")


# Not in the list, found by trying


def test_units_that_differ_between_slices_are_refused(folder):
    def edit(ds: Dataset) -> None:
        if ds.InstanceNumber == 4:
            ds.Units = "CNTS"

    path = folder(edit)
    error = refused(path, context_of(path), "mixed_series")
    assert "BQML" in error.found and "CNTS" in error.found


def test_a_decimal_comma_in_a_slope_is_refused(folder):
    path = folder(tags(RescaleSlope="1.5000000001"))
    for file in path.iterdir():
        file.write_bytes(file.read_bytes().replace(b"1.5000000001", b"1,5000000001"))
    assert "RescaleSlope" in refused(path, context_of(path), "bad_header_value").what


def test_no_time_at_all_is_asked_for_and_the_sheet_can_give_it(folder):
    path = folder(tags(AcquisitionDate=None, AcquisitionTime=None))
    assert "`acquired`" in refused(path, context_of(path), "acquisition_time_missing").do
    found = calibrated(path, context_of(path, acquired=START))
    right(found)
    assert finding(found, "acquired").status == "warn"


def test_an_acquisition_without_date_on_the_series_day_is_taken_and_told(folder):
    path = folder(tags(AcquisitionDate=None))
    found = calibrated(path, context_of(path))
    right(found)
    assert found.times.origin == START and finding(found, "acquisition_date").status == "warn"


def test_a_negative_half_life_is_refused(folder):
    path = folder(tracer(RadionuclideHalfLife="-6586.2"))
    refused(path, context_of(path), "negative_header_value")


def test_errors_are_short_enough_to_be_read(folder):
    path = folder(tags(Units="PROPCPS"))
    error = refused(path, context_of(path), "units_unsupported")
    assert len(str(error)) < 700 and "found" in str(error) and "expected" in str(error) and "do:" in str(error)
