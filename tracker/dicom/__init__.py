"""Raw DICOM: which files there are, which belong together, where their voxels lie, and their stored values.

Nothing here knows a modality: readers name the tags they want and get `Instance`, `Series` and `Stack` back.
"""

from tracker.dicom.files import Dropped, FolderFiles, walk
from tracker.dicom.geometry import Stack, stack
from tracker.dicom.headers import COMMON_TAGS, Instance, read_instances
from tracker.dicom.series import Series, choose_series, group_series

__all__ = [
    "COMMON_TAGS",
    "Dropped",
    "FolderFiles",
    "Instance",
    "Series",
    "Stack",
    "choose_series",
    "group_series",
    "read_instances",
    "stack",
    "walk",
]
