"""A known truth → click folders as the maker's program writes them: light through tissue, a camera, text and TIFF files.

`optics`, `body` and `light` bring light from cells to the skin (`montecarlo` checks that), `pose` and `scene` to the camera, `camera` makes
counts of it, `click` files, `study` a whole digital study. Nothing here uses the code that reads and calibrates images: an error must not
cancel.
"""

from __future__ import annotations

from tracker.bli.phantom.body import Body, mouse_body, site
from tracker.bli.phantom.camera import Frames, expose
from tracker.bli.phantom.click import Click, write_click, write_sequence
from tracker.bli.phantom.light import Light, light, mouse_light, organ_light
from tracker.bli.phantom.luciferin import Luciferin, mean_brightness, peak_min
from tracker.bli.phantom.lying import BliPhantom, bli_phantom, true_photons_per_cell
from tracker.bli.phantom.options import Camera, ClickOptions, VendorRoi
from tracker.bli.phantom.pose import Pose, View, camera_from_body, pixel_cm2, posed_labels
from tracker.bli.phantom.scene import Deposit, Mouse, brightness, radiance, view_of
from tracker.bli.phantom.study import TruthRow, write_animal_raw, write_scan_raw, write_study_raw

__all__ = [
    "BliPhantom",
    "Body",
    "Camera",
    "Click",
    "ClickOptions",
    "Deposit",
    "Frames",
    "Light",
    "Luciferin",
    "Mouse",
    "Pose",
    "TruthRow",
    "VendorRoi",
    "View",
    "bli_phantom",
    "brightness",
    "camera_from_body",
    "expose",
    "light",
    "mean_brightness",
    "mouse_body",
    "mouse_light",
    "organ_light",
    "peak_min",
    "pixel_cm2",
    "posed_labels",
    "radiance",
    "site",
    "true_photons_per_cell",
    "view_of",
    "write_animal_raw",
    "write_click",
    "write_scan_raw",
    "write_sequence",
    "write_study_raw",
]
