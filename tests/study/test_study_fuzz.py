"""Whatever stands in a study folder, the reader answers with a study or with its list of errors, never with a crash."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from study_folder import Folder

NAMES = ("config.yaml", "subjects.tsv", "doses.tsv", "labels.csv", "acquisitions.tsv", "retention.csv")
# Pieces that have a meaning somewhere: separators, YAML's marks, words of other types, odd characters.
PIECES = st.sampled_from(
    ["\t", ",", ";", "\n", "\r", '"', "'", ":", "- ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!", "? ", "|", "#", "~", "%", "0", "-1",
     "1e999",
     "nan", "null", "yes", "2026-03-04", "2026-03-04T10:00Z", "\0", "\ufeff", "é", "\u2028", "\x1c", "=", "__x: 1", "pet", "zr", "\t\t\t\n"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4))
def test_edited_files(name, edits):
    with tempfile.TemporaryDirectory() as root:
        folder = Folder(Path(root))
        text = (folder.root / name).read_text(encoding="utf-8")
        for place, removed, piece in edits:
            at = int(place * len(text))
            text = text[:at] + piece + text[at + removed :]
        folder.write(name, text)
        assert all(error.code and error.what and str(error) for error in folder.errors())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(NAMES), st.binary(max_size=60))
def test_any_bytes(name, raw):
    with tempfile.TemporaryDirectory() as root:
        folder = Folder(Path(root))
        folder.write(name, raw)
        # Six lines of bytes are never the sheet they stand for.
        assert folder.errors() != []
