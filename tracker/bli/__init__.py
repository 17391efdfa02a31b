"""Bioluminescence: the room for click folders and photons. No modality until it has a `calibrate.py`; a study that names it is refused."""
