"""Bruker ParaVision folders (``2dseq`` with ``visu_pars``, versions 5 to 360) → `Scan`.

Parameter files are parsed by brukerapi; what the frames are, where they lie and what they are worth is decided here.
"""

from tracker.mri.paravision.frames import Frames, Group, frames
from tracker.mri.paravision.read import read_paravision
from tracker.mri.paravision.reconstructions import is_paravision

__all__ = ["Frames", "Group", "frames", "is_paravision", "read_paravision"]
