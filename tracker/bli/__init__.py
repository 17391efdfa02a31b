"""Bioluminescence (and epi-fluorescence) from planar images of IVIS click folders: what is measured, and what is assumed.

Measured: counts of a cooled camera, made radiance [photons/s/cm2/sr] by its own calibration, and total flux of regions [photons/s]. A
reporter gene shines in living cells alone, given luciferin and oxygen; its light is swallowed and scattered on its way out, so that flux of
two organs cannot be compared before that is undone (``depth`` in the config).

Assumed: tissue optics of Alexandrakis et al. 2005 (Phys Med Biol 50:4225, doi:10.1088/0031-9155/50/17/021) with one unknown share of blood;
diffusion of light (Green's functions; Kuo et al. 2007, J Biomed Opt 12:024007, doi:10.1117/1.2717898); an organ's light spread evenly
over it; all cells with the light of those in the well plate.
"""

NAMES = ("bli",)
