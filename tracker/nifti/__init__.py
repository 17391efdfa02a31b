"""NIfTI in and out. Only this folder knows NIfTI's index order (x, y, z, t); everyone else has (t, z, y, x).

`space` decides where voxels are, `volumes` reads and writes arrays, `objects` stores what stages hand to one another.
"""

from tracker.nifti.objects import read_organ_map, read_quantity, write_organ_map, write_quantity
from tracker.nifti.space import nifti_grid
from tracker.nifti.volumes import is_nifti, read_nifti, write_nifti

__all__ = [
    "is_nifti",
    "nifti_grid",
    "read_nifti",
    "read_organ_map",
    "read_quantity",
    "write_nifti",
    "write_organ_map",
    "write_quantity",
]
