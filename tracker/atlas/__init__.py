"""Organs of a scan from an atlas: any label map with a table of names, with or without intensities of its own."""

from tracker.atlas.fit import CONTRASTS, fit_atlas
from tracker.atlas.objects import Atlas, FittedAtlas
from tracker.atlas.read import read_atlas

__all__ = ["CONTRASTS", "Atlas", "FittedAtlas", "fit_atlas", "read_atlas"]
