"""The user's own organs, brought to the scan's grid: labels go to the scan, activity never goes to the labels.

Resampling a label map moves a border by half a voxel; resampling activity would smear it over the border and change its sum.
"""

from tracker.organs.read import read_organs

__all__ = ["read_organs"]
