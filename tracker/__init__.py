"""Living cells per organ over time from MRI, PET/SPECT and bioluminescence of labelled cells.

A folder here with ``calibrate.py`` or ``tabulate.py`` is a modality; a file is what all modalities share.
Conventions: units last in the name, arrays ``(t, z, y, x)``, nothing writes to its inputs (docs/architecture.md).
"""

__version__ = "0.1.0"
