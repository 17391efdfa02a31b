"""Organs that were not drawn on the scan itself: brought from the session's anatomy scan, another session of the animal, or an atlas.

A scan's own organs always win. Everything is carried along one chain of transforms with a single look-up, and every carried border says
how far it may lie off.
"""

from tracker.carry.organs import organs_of

__all__ = ["organs_of"]
