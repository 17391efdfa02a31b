"""Enhanced PET Image Storage: one multi-frame file, each frame with its own rescale slope."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import EnhancedPETImageStorage

from tracker.digital import dicom as shared
from tracker.pet.phantom import dicom
from tracker.pet.phantom.options import (
    ScanOptions,
    after_start,
    average_time_s,
    decay_factor,
    moment_dt,
    reference_time,
)
from tracker.pet.phantom.truth import PetImage

_CORRECTIONS = {
    "ATTN": "AttenuationCorrected",
    "SCAT": "ScatterCorrected",
    "RAN": "RandomsCorrected",
    "NORM": "DetectorNormalizationCorrection",
    "DTIM": "DeadTimeCorrected",
}


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _shared(image: PetImage) -> Dataset:
    spacing, slice_mm = shared.spacing_mm(image.grid)
    frame_type = _item(
        FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    return _item(
        PixelMeasuresSequence=[_item(PixelSpacing=spacing, SliceThickness=slice_mm, SpacingBetweenSlices=slice_mm)],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=shared.orientation_lps(image.grid))],
        FrameAnatomySequence=[_item(AnatomicRegionSequence=[shared.code("38266002", "SCT", "Entire body")], FrameLaterality="U")],
        PETFrameTypeSequence=[frame_type],
        PETFrameAcquisitionSequence=[_item(TableHeight=0.0, GantryDetectorTilt=0.0, GantryDetectorSlew=0.0, DataCollectionDiameter=100.0)],
        PETPositionSequence=[
            _item(TablePosition=0.0, DataCollectionCenterPatient=[0.0, 0.0, 0.0], ReconstructionTargetCenterPatient=[0.0, 0.0, 0.0])
        ],
        PETReconstructionSequence=[
            _item(
                ReconstructionType="3D",
                ReconstructionAlgorithm="MLEM",
                IterativeReconstructionMethod="YES",
                NumberOfIterations=1,
                NumberOfSubsets=1,
                ReconstructionDiameter=100.0,
            )
        ],
        RadiopharmaceuticalUsageSequence=[_item(RadiopharmaceuticalAgentNumber=1)],
    )


def _mapping(slope: float, first: int, last: int) -> Dataset:
    item = _item(
        LUTExplanation="activity concentration", LUTLabel="BQML", MeasurementUnitsCodeSequence=[shared.code("Bq/ml", "UCUM", "Bq/ml")]
    )
    item.add_new(Tag("RealWorldValueFirstValueMapped"), "SS", first)
    item.add_new(Tag("RealWorldValueLastValueMapped"), "SS", last)
    item.RealWorldValueIntercept, item.RealWorldValueSlope = 0.0, slope
    return item


def _content(image: PetImage, options: ScanOptions, t: int, z: int) -> Dataset:
    start_s, duration_s = float(image.start_s[t, z]), float(image.duration_s[t, z])
    return _item(
        FrameAcquisitionNumber=t + 1,
        FrameReferenceDateTime=moment_dt(options, after_start(options, start_s + average_time_s(options, duration_s))),
        FrameAcquisitionDateTime=moment_dt(options, after_start(options, start_s)),
        FrameAcquisitionDuration=duration_s * 1000,
        StackID="1",
        InStackPositionNumber=z + 1,
        TemporalPositionIndex=t + 1,
        DimensionIndexValues=[t + 1, z + 1],
    )


def _frame(image: PetImage, options: ScanOptions, t: int, z: int) -> tuple[Dataset, np.ndarray]:
    factor = decay_factor(options, float(image.start_s[t, z]), float(image.duration_s[t, z]))
    slope, stored = dicom.quantise(image.values[t, z] * factor)
    rescale = 1.0 if options.real_world == "only" else slope
    groups = _item(
        FrameContentSequence=[_content(image, options, t, z)],
        PlanePositionSequence=[_item(ImagePositionPatient=shared.position_lps(image.grid, z))],
        PixelValueTransformationSequence=[
            _item(RescaleIntercept="0", RescaleSlope=shared.ds_text(rescale), RescaleType="US" if options.real_world == "only" else "BQML")
        ],
        PETFrameCorrectionFactorsSequence=[
            _item(
                PrimaryPromptsCountsAccumulated=1,
                SliceSensitivityFactor=1.0,
                DecayFactor=shared.ds_text(factor),
                ScatterFractionFactor=0.0,
                DeadTimeFactor=1.0,
            )
        ],
    )
    if options.real_world != "none":
        groups.RealWorldValueMappingSequence = [_mapping(slope, int(stored.min()), int(stored.max()))]
    return groups, stored


def _add_dimensions(ds: Dataset, options: ScanOptions) -> None:
    organisation = dicom.uid(options, "dimensions")
    ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organisation)]
    ds.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=Tag(keyword),
            FunctionalGroupPointer=Tag("FrameContentSequence"),
            DimensionDescriptionLabel=label,
        )
        for keyword, label in (("TemporalPositionIndex", "time"), ("InStackPositionNumber", "slice"))
    ]


def _add_corrections(ds: Dataset, options: ScanOptions) -> None:
    ds.DecayCorrected = "NO" if options.decay_correction == "NONE" else "YES"
    if options.decay_correction != "NONE":
        ds.DecayCorrectionDateTime = moment_dt(options, reference_time(options))
    for short, keyword in _CORRECTIONS.items():
        setattr(ds, keyword, "YES" if short in options.corrected else "NO")
    for keyword in ("GantryMotionCorrected", "PatientMotionCorrected", "NonUniformRadialSamplingCorrected"):
        setattr(ds, keyword, "NO")
    ds.CountLossNormalizationCorrected, ds.SensitivityCalibrated = "YES", "YES"
    if "ATTN" in options.corrected:
        ds.AttenuationCorrectionSource, ds.AttenuationCorrectionTemporalRelationship = "CT", "SIMULTANEOUS"
    if "SCAT" in options.corrected:
        ds.ScatterCorrectionMethod = "model"
    if "RAN" in options.corrected:
        ds.RandomsCorrectionMethod = "DLYD"


def _add_scanner(ds: Dataset) -> None:
    ds.DetectorGeometry, ds.TransverseDetectorSeparation, ds.AxialDetectorDimension = "CYLINDRICAL_RING", 100.0, 100.0
    ds.AcquisitionStartCondition, ds.AcquisitionTerminationCondition = "MANU", "MANU"
    ds.EnergyWindowRangeSequence = [_item(EnergyWindowLowerLimit="435", EnergyWindowUpperLimit="588")]
    ds.CoincidenceWindowWidth, ds.TimeOfFlightInformationUsed, ds.TableMotion = 5.0, "FALSE", "STATIC"
    ds.ViewCodeSequence = [shared.code("62824007", "SCT", "Transverse")]


def _image(image: PetImage, options: ScanOptions) -> Dataset:
    ds = Dataset()
    dicom.add_patient_and_study(ds, options)
    dicom.add_space(ds, options, image.grid)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = EnhancedPETImageStorage, dicom.uid(options, "enhanced"), "PT"
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = dicom.uid(options, "series"), 1, "PET"
    series = after_start(options, options.series_later_s)
    ds.SeriesDate, ds.SeriesTime, ds.InstanceNumber = shared.date_da(series), shared.time_tm(series), 1
    ds.ContentDate, ds.ContentTime = ds.SeriesDate, ds.SeriesTime
    ds.AcquisitionDateTime = moment_dt(options, after_start(options, float(image.start_s.min())))
    ds.AcquisitionDuration = float((image.start_s + image.duration_s).max() - image.start_s.min())
    ds.PatientPosition, ds.AcquisitionContextSequence = options.patient_position, []
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    ds.ContentQualification, ds.BurnedInAnnotation, ds.LossyImageCompression = "RESEARCH", "NO", "00"
    ds.PresentationLUTShape, ds.TypeOfDetectorMotion = "IDENTITY", "STATIONARY"
    ds.CollimatorType, ds.CountsSource, ds.Units = "NONE", "EMISSION", "BQML"
    _add_scanner(ds)
    agent = dicom.radiopharmaceutical(options)
    agent.RadiopharmaceuticalAgentNumber = 1
    # Enhanced PET knows a code and a full date and time instead.
    del agent.Radiopharmaceutical, agent.RadiopharmaceuticalStartTime
    ds.RadiopharmaceuticalInformationSequence = [agent]
    _add_dimensions(ds, options)
    _add_corrections(ds, options)
    return ds


def write_enhanced(folder: Path, image: PetImage, options: ScanOptions) -> tuple[Path, ...]:
    """The one file of an Enhanced PET series in ``folder``; frames by time, then slice (``shuffled``: in another order).

    Each frame has its own slope in Pixel Value Transformation and, unless ``real_world`` is ``none``, in a Real World Value
    Mapping to Bq/ml. Raises ValueError for units other than BQML.
    """
    if options.units != "BQML":
        raise ValueError(f"Enhanced PET is written in BQML only, not {options.units}")
    folder.mkdir(parents=True, exist_ok=True)
    nt, nz = image.start_s.shape
    order = np.arange(nt * nz)
    if options.shuffled:
        order = np.random.default_rng(options.seed).permutation(order)
    frames = [_frame(image, options, int(n) // nz, int(n) % nz) for n in order]
    ds = _image(image, options)
    ds.NumberOfFrames = len(frames)
    ds.SharedFunctionalGroupsSequence = [_shared(image)]
    ds.PerFrameFunctionalGroupsSequence = [groups for groups, _ in frames]
    shared.add_pixels(ds, np.stack([stored for _, stored in frames]))
    return (dicom.save(ds, folder / "enhanced.dcm", options),)
