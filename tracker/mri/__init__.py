"""MRI of iron-labelled cells: R2* of multi-echo gradient-echo scans, and what of it is iron; 19F of fluorinated labels.

Measured: how fast the signal decays between echoes [1/s]. Assumed: one decay rate a voxel; noise is that of magnitude images
(Rician, or non-central chi of the stated number of coils). What decays too fast to be seen is said to be above a limit, never a number.
"""

NAMES = ("mri",)
# DICOM's modality -> the sheet's word for it. An MR series without echoes is an anatomy scan: the reader says so.
DICOM_MODALITIES = {"MR": "mri"}
