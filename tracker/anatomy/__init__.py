"""An anatomical scan (CT, MR): what organs are drawn on and registered by. It is not measured.

`read_anatomy` gives its volume, `body_of` the animal's outline in it.
"""

from tracker.anatomy.body import Body, body_of
from tracker.anatomy.read import read_anatomy
from tracker.anatomy.scan import Anatomy

__all__ = ["Anatomy", "Body", "body_of", "read_anatomy"]
