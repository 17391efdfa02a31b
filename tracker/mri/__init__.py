"""SPIO-MRI: the room for R2* and iron. Not a modality until it has a `calibrate.py`; a study that names it is refused."""
