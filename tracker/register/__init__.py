"""Two scans laid on one another: to follow an animal through its sessions, and to bring an atlas to an animal.

`register` finds where each point of the fixed scan lies in the moving one; `carry_map` brings the moving scan's organs back along it;
`best_pose` tells how an animal lies; the rest says how good it came out. Own code on NumPy, SciPy's optimiser and numba: in
`benchmarks/registration.py` it takes a fraction of the peers' time at the Dice of the best of them, adds no dependency and gives the
same numbers whatever the number of processors.
"""

from tracker.register.apply import carry_map, carry_values
from tracker.register.chain import chain
from tracker.register.match import Options, register
from tracker.register.pose import Pose, Poses, best_pose, curved
from tracker.register.quality import dice, jacobian, mutual_information, surface_distance_mm
from tracker.register.transform import Bend, Quality, Transform, points_to_moving

__all__ = [
    "Bend",
    "Options",
    "Pose",
    "Poses",
    "Quality",
    "Transform",
    "best_pose",
    "carry_map",
    "carry_values",
    "chain",
    "curved",
    "dice",
    "jacobian",
    "mutual_information",
    "points_to_moving",
    "register",
    "surface_distance_mm",
]
