"""PET and SPECT: activity concentration from DICOM (classic, enhanced, NM), NIfTI with a BIDS sidecar, or ECAT.

Measured: the mean activity concentration over each frame. Assumed: the scanner is calibrated in Bq/mL (or a factor is
given), and its own half-life and decay correction are as its header says; both are undone and redone exactly.
"""

NAMES = ("pet", "spect")
# DICOM's modality -> the sheet's word for it.
DICOM_MODALITIES = {"PT": "pet", "NM": "spect"}
