"""One study folder → typed rows: config and sheets, checked against one another, with all errors at once.

A study that loads is well formed: ids known, times and units stated, weights plausible, files there. Nothing in it is guessed.
"""

from tracker.study import rows
from tracker.study.context import atlas_files, context_for, contexts, controls_of, files_of, study_of
from tracker.study.load import load_study
from tracker.study.model import Context, Study

__all__ = ["Context", "Study", "atlas_files", "context_for", "contexts", "controls_of", "files_of", "load_study", "rows", "study_of"]
