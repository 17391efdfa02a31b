"""Classic MR DICOM: one image of one slice a file."""

from __future__ import annotations

from tracker.dicom import Instance, Series
from tracker.dicom.geometry import instance_slices
from tracker.dicom.pixels import check_pixels
from tracker.dicom.values import acquisition_start, number, start_by_series_date
from tracker.mri.tags import Facts, Picture, PictureSet, field_of, ge_kind, kind_of, nucleus_of, philips_scale, scale, scaled_number, whole

# What images of one acquisition have in common, whichever series they were written to.
_SETTINGS = ("ScanningSequence", "SequenceVariant", "MRAcquisitionType", "RepetitionTime", "FlipAngle", "ImagedNucleus")


def words_of(instance: Instance, keyword: str) -> tuple[str, ...]:
    """A tag's words in capitals; empty where absent."""
    value = instance.get(keyword, ())
    return tuple(str(w).strip().upper() for w in ([value] if isinstance(value, str) else value))


def facts_of(first: Instance) -> Facts:
    """What a classic header says of its acquisition. A spin echo is one that says SE and not GR."""
    nucleus = nucleus_of(first.get("ImagedNucleus"))
    strength, frequency = (scaled_number(first, k) for k in ("MagneticFieldStrength", "ImagingFrequency"))
    field_t, findings = field_of(strength, frequency, nucleus)
    sequence = words_of(first, "ScanningSequence")
    return Facts(
        nucleus=nucleus,
        field_t=field_t,
        repetition_time_s=scaled_number(first, "RepetitionTime", 1e-3),
        flip_angle_deg=scaled_number(first, "FlipAngle"),
        planar={"2D": True, "3D": False}.get(str(first.get("MRAcquisitionType", "")).strip().upper()),
        spin_echo="SE" in sequence and "GR" not in sequence,
        echo_planar="EP" in sequence,
        echo_train=whole(first, "EchoTrainLength"),
        duration_s=scaled_number(first, "AcquisitionDuration"),
        findings=findings,
    )


def picture_of(instance: Instance) -> Picture:
    """One file as a `Picture`, with its own slope and intercept.

    Raises `InputError` for pixels that do not fit the file, and for numbers that are none.
    """
    check_pixels(instance)
    kind = kind_of(words_of(instance, "ImageType"), str(instance.get("ComplexImageComponent", "")), ge_kind(instance))
    echo_ms = number(instance.get("EchoTime"), "EchoTime", instance.path)
    slope, intercept = (number(instance.get(k), k, instance.path) for k in ("RescaleSlope", "RescaleIntercept"))
    turn = tuple(whole(instance, k) or 0 for k in ("TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber"))
    return Picture(
        instance,
        0,
        kind,
        None if echo_ms is None else echo_ms / 1000.0,
        whole(instance, "EchoNumbers"),
        (turn[0], turn[1], turn[2]),
        acquisition_start(instance) or start_by_series_date(instance),
        *scale(instance, (slope, intercept), kind, philips_scale(instance)),
    )


def classic_set(series: Series) -> PictureSet:
    """A series of single-slice files as a `PictureSet`; raises `InputError` where a file has no place, or pixels that do not fit."""
    pictures = tuple(picture_of(i) for i in series.instances)
    settings = tuple(str(series.first.get(keyword, "")) for keyword in _SETTINGS)
    return PictureSet(series, pictures, instance_slices(series.instances), facts_of(series.first), settings)
