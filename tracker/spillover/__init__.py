"""What an organ's region shows is a mixture of what all organs hold: the regional spread matrix, and its undoing.

measured = W · true. Where there is one number an organ on either side, `spread_matrix` makes W from an organ map and the width of the
blur, `unmix` solves for the true means and carries the covariance, `rbv_image` redraws the image with them, for people to look at.
Where there are more measurements than organs (pixels, filters), `unmix_nonnegative` solves for amounts of which none is below 0.

The organ map is taken as right, each organ as evenly filled, and the blur as one Gaussian for the whole field. Where they are not,
the result is wrong in a way that no number here shows: the boundary's own uncertainty has to be added by whoever knows it.
"""

from tracker.spillover.nonnegative import DETECTED, NonNegative, unmix_nonnegative
from tracker.spillover.rbv import rbv_image
from tracker.spillover.spread import Spread, spread_matrix, width_spreads
from tracker.spillover.unmix import LARGEST_CONDITION, Unmixed, covariance_of_means, sd_from_width, unmix
from tracker.spillover.width import fwhm_of

__all__ = [
    "DETECTED",
    "LARGEST_CONDITION",
    "NonNegative",
    "Spread",
    "Unmixed",
    "covariance_of_means",
    "fwhm_of",
    "rbv_image",
    "sd_from_width",
    "spread_matrix",
    "unmix",
    "unmix_nonnegative",
    "width_spreads",
]
