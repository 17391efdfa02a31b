"""Several animals in one scan: found, counted, matched with the sheet `beds`, and split so that each is as if scanned alone.

Nothing of a shared scan's header belongs to one animal: dose and weight are the sheets' alone.
"""

from tracker.beds.split import own_organs, split_bed

__all__ = ["own_organs", "split_bed"]
