"""What config.yaml may say, and what the reader says about the traps of YAML and misspelt keys (bad-inputs 85, 86)."""

from __future__ import annotations

import time

import pytest
from study_folder import says

from tracker.errors import InputError
from tracker.study.yaml_strict import read_yaml

# --- YAML's traps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    ["12:30", "09:30", "190:20:30", "010", "08", "0o17", "0x1F", "0b1", "1_000", "NO", "yes", "on", "off", "y", "N", "2026-03-04",
     "2026-03-04T10:00:00", ".inf", ".nan", "1e999", "007"],
)  # fmt: skip
def test_words_that_yaml_takes_for_something_else(folder, word):
    folder.change("config.yaml", "study: msc_lung_homing", f"study: {word}")
    assert says(folder.only("yaml_trap"), "config.yaml, line 1, key study", repr(word), "put quotes around")


@pytest.mark.parametrize("word", ["007", "NO", "1E5", "2026-03-04", "yes"])
def test_quoted_they_are_text(folder, word):
    folder.change("config.yaml", "study: msc_lung_homing", f'study: "{word}"')
    assert folder.load().config.study == word


@pytest.mark.parametrize("word", ["1.10", "12", "1e5", "true", "-3"])
def test_numbers_where_text_is_meant(folder, word):
    folder.change("config.yaml", "study: msc_lung_homing", f"study: {word}")
    assert says(folder.only("wrong_type"), "config.yaml, line 1, key study", f'put quotes around it: "{word}"', "expected text")


@pytest.mark.parametrize(("text", "value"), [("1.6", 1.6), ("1e1", 10.0), ("2", 2), ("1.10", 1.1), (".5", 0.5), ("+3", 3)])
def test_plain_numbers(folder, text, value):
    folder.change("config.yaml", "psf_fwhm_mm: 1.6", f"psf_fwhm_mm: {text}")
    assert folder.load().config.constants["pet"]["psf_fwhm_mm"] == value


def test_yes_where_the_words_yes_and_no_are_meant(folder):
    folder.change("config.yaml", "spill_over: gtm", "branching_applied: yes")
    assert says(folder.only("yaml_trap"), "line 4, key pet.branching_applied", "put quotes")
    folder.change("config.yaml", "branching_applied: yes", "branching_applied: 'yes'")
    assert folder.load().config.constants["pet"]["branching_applied"] == "yes"


@pytest.mark.parametrize("key", ["on", "NO", "010", "12", "2026-03-04", "~", "12:30"])
def test_keys_that_are_not_text(folder, key):
    folder.change("config.yaml", "pet: {", f"pet: {{{key}: 1, ")
    assert says(folder.only("yaml_trap"), f"config.yaml, line 4, key pet.{key}", "put quotes")


@pytest.mark.parametrize("key", ["__use_yte__: true", "__definitions__: []"])
def test_keys_that_run_code(folder, key):
    folder.change("config.yaml", "pet:", f"{key}\npet:")
    assert says(folder.only("reserved_key"), "config.yaml, line 4", key.split(":")[0], "run code")


def test_duplicate_keys(folder):
    folder.change("config.yaml", "psf_fwhm_mm: 1.6", "psf_fwhm_mm: 1.6, psf_fwhm_mm: 2.6")
    assert says(folder.only("duplicate_key"), "config.yaml, line 4, key pet.psf_fwhm_mm", "as in line 4")


def test_a_key_without_a_value(folder):
    folder.change("config.yaml", "pet: {psf_fwhm_mm: 1.6, spill_over: gtm}", "pet:\n  psf_fwhm_mm:")
    assert says(folder.only("empty_value"), "config.yaml, line 5, key pet.psf_fwhm_mm", "give a value or remove the line")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!int '5'", "!mine x", "!!binary aGk="])
def test_tags(folder, tag):
    folder.change("config.yaml", "spill_over: gtm", f"spill_over: {tag}")
    assert says(folder.only("bad_yaml"), "line 4, key pet.spill_over", "tags are not allowed")


def test_anchors_and_merges(folder):
    folder.change("config.yaml", "pk: {targets: [{quantity: cells_viable, modality: joint}]}", "\n".join([
        "pk:", "  targets:", "    - &one {quantity: cells_viable, modality: joint}", "    - {<<: *one, quantity: suv}",
        "    - *one"]))  # fmt: skip
    assert [(t.quantity, t.modality) for t in folder.load().config.pk_targets] == [
        ("cells_viable", "joint"), ("suv", "joint"), ("cells_viable", "joint"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "study: &a [*a]\n",
        # Ten anchors of ten anchors each: ten thousand million values in a few lines.
        "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
    ],
    ids=["anchor of itself", "anchors of anchors"],
)
def test_anchors_without_end(folder, text):
    folder.write("config.yaml", text)
    started = time.perf_counter()
    assert says(folder.only("bad_yaml"), "without end")
    # Unbounded it would not end in a day; ten seconds is generous for a hundred thousand values.
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("study: [1\n", "line 2"),
        ("study:\n\tx: 1\n", "line 2"),
        ("a: b: c\n", "line 1"),
        ("study: 'x\n", "YAML"),
        ("a: 1\n---\nb: 2\n", "line 2"),
    ],
)
def test_no_yaml(folder, text, part):
    folder.write("config.yaml", text)
    assert says(folder.only("bad_yaml"), "config.yaml", part)


@pytest.mark.parametrize(
    ("text", "part"), [("", "empty"), ("# only words\n", "empty"), ("- a\n", "list of keys"), ("hello\n", "list of keys")]
)
def test_no_keys(folder, text, part):
    folder.write("config.yaml", text)
    assert says(folder.only("bad_yaml"), "config.yaml", part)


def test_bytes_that_are_no_text(folder):
    folder.write("config.yaml", b"study: x\npet: \xff\n")
    assert says(folder.only("not_utf8"), "config.yaml, line 2", "0xff")


def test_a_bom_is_tolerated(folder):
    folder.change("config.yaml", "study:", "\ufeffstudy:")
    assert folder.load().config.study == "msc_lung_homing"


def test_values_are_those_of_a_plain_yaml_reader(tmp_path):
    # An independent reader must agree on a text without traps.
    import yaml

    text = "a: {b: [1, 2.5, -3.0e+2, 'x y', \"q\", true, false]}\nc: |\n  two\n  lines\nd: plain words\n"
    (tmp_path / "x.yaml").write_text(text)
    errors: list[InputError] = []
    assert read_yaml(tmp_path / "x.yaml", errors).value == yaml.safe_load(text)
    assert errors == []


# --- keys and values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "key", "near", "line"),
    [
        ("corrections:", "correction:", "correction", "corrections", 5),
        ("background:", "backgruond:", "corrections.backgruond", "background", 5),
        ("psf_fwhm_mm", "psf_fwhm", "pet.psf_fwhm", "psf_fwhm_mm", 4),
        ("source:", "sorce:", "organs.sorce", "source", 3),
        ("quantity:", "quantities: x, quantity:", "pk.targets[0].quantities", "quantity", 6),
        ("pet:", "Pet:", "Pet", "pet", 4),
    ],
)
def test_misspelt_keys(folder, old, new, key, near, line):
    folder.change("config.yaml", old, new)
    assert says(folder.only("unknown_key"), f"config.yaml, line {line}, key {key}", f"did you mean {near!r}?", f"found {key}")


def test_unknown_sheet(folder):
    folder.change("config.yaml", "labels: labels.csv", "labels: labels.csv, mesurements: m.tsv")
    assert says(folder.only("unknown_key"), "line 2, key sheets.mesurements", "did you mean 'measurements'?")


def test_a_modality_that_is_not_in_the_tree(folder):
    folder.change("config.yaml", "pet:", "teleport: {x: 1}\npet:")
    assert says(folder.only("unknown_key"), "line 4, key teleport", "corrections", "pet")


@pytest.mark.parametrize(("key", "code"), [("study", "missing_key"), ("sheets", "missing_key")])
def test_required_keys(folder, key, code):
    lines = (folder.root / "config.yaml").read_text().splitlines()
    folder.write("config.yaml", "\n".join(line for line in lines if not line.startswith(key)))
    assert says(folder.only(code), "config.yaml, line 1", f"expected {key}")


def test_required_sheets(folder):
    folder.change("config.yaml", "doses: doses.tsv, ", "")
    assert says(folder.with_code("missing_key")[0], "line 2, key sheets.doses", "sheet of administrations")


@pytest.mark.parametrize(
    ("old", "new", "code", "parts"),
    [
        ("psf_fwhm_mm: 1.6", "psf_fwhm_mm: 0", "out_of_range", ("line 4, key pet.psf_fwhm_mm", "above 0", "[mm]")),
        ("psf_fwhm_mm: 1.6", "psf_fwhm_mm: '1.6'", "wrong_type", ("key pet.psf_fwhm_mm", "a number")),
        ("psf_fwhm_mm: 1.6", "psf_fwhm_mm: true", "wrong_type", ("key pet.psf_fwhm_mm", "a number")),
        ("psf_fwhm_mm: 1.6", "psf_fwhm_mm: 1,6", "yaml_trap", ("line 4, key pet.6",)),
        ("spill_over: gtm", "spill_over: GTM", "bad_choice", ("key pet.spill_over", "none, gtm", "did you mean 'gtm'?")),
        ("spill_over: gtm", "branching_fraction_scanner: 22.7", "out_of_range", ("at most 1",)),
        ("decay: true", "decay: 1", "wrong_type", ("key corrections.decay", "true or false")),
        ("background: baseline", "background: basline", "bad_choice", ("did you mean 'baseline'?",)),
        ("decay: true", "dose_sd_percent: -1", "out_of_range", ("key corrections.dose_sd_percent", "at least 0", "[%]")),
        ("cells_viable", "cell_viable", "bad_choice", ("key pk.targets[0].quantity", "did you mean 'cells_viable'?")),
        ("modality: joint", "modality: pett", "unknown_modality", ("key pk.targets[0].modality", "did you mean 'pet'?")),
        ("modality: joint", "modality: pet, subjects: [7]", "wrong_type", ('put quotes around it: "7"',)),
        ("modality: joint", "modality: pet, subjects: ['7']", "unknown_subject", ("key pk.targets[0].subjects[0]", "007, NA, 1E5")),
        ("msc_lung_homing", "msc lung", "bad_value", ("line 1, key study", "msc lung")),
        ("organs: {source: segmentation}", "organs: {density_g_per_ml: {lung: 0}}", "out_of_range", ("g/mL",)),
        ("organs: {source: segmentation}", "organs: {density_g_per_ml: {Lung: 1, lung: 2}}", "duplicate_key", ("Lung, lung",)),
        ("pet: {psf_fwhm_mm: 1.6, spill_over: gtm}", "pet: 5", "wrong_type", ("key pet", "a section of keys")),
        ("targets: [{quantity: cells_viable, modality: joint}]", "targets: {quantity: suv}", "wrong_type", ("pk.targets", "a list")),
        ("pk:", "mri: {relaxivity_sd_per_s_per_mmolar: 3}\npk:", "missing_key", ("mri.relaxivity_per_s_per_mmolar", "1/s per mmol/L")),
        ("pk:", "mri: {focal: {reference_organ: muscle}}\npk:", "missing_key", ("mri.focal.echo_time_ms", "[ms]")),
        ("pk:", "mri: {focal: {reference_organ: m, echo_time_ms: 4, calibration: "
         "{cells_per_ml: 1, field_t: 1, echo_time_ms: 4, voxel_mm: [1, 1]}}}\npk:",
         "bad_value", ("mri.focal.calibration.voxel_mm", "at least 3 values")),
        ("pk:", "mri: {estimator: arlo, coils: 0}\npk:", "out_of_range", ("mri.coils", "at least 1")),
    ],
)  # fmt: skip
def test_values(folder, old, new, code, parts):
    folder.change("config.yaml", old, new)
    assert says(folder.only(code), *parts)


def test_an_atlas_that_is_not_named(folder):
    folder.change("config.yaml", "organs: {source: segmentation}", "organs: {source: atlas}")
    assert says(folder.only("atlas_missing"), "config.yaml, line 3, key organs.source", "organs.atlas")


def test_organs_from_an_atlas_or_another_session(folder):
    folder.change("config.yaml", "organs: {source: segmentation}", "organs: {source: atlas, atlas: {labels: a.nii, names: a.tsv}}")
    folder.write("a.nii", "")
    assert says(folder.only("missing_path"), "config.yaml, line 3, key organs.atlas.names", "a.tsv")
    folder.write("a.tsv", "")
    assert folder.load().config.organs.atlas_labels == folder.root / "a.nii"
    folder.change("config.yaml", "source: atlas, atlas: {labels: a.nii, names: a.tsv}", "source: propagated")
    assert folder.load().config.organs.source == "propagated"


def test_errors_come_in_the_order_of_the_file(folder):
    folder.change("config.yaml", "study: msc_lung_homing", "study: 007")
    folder.change("config.yaml", "source", "sorce")
    folder.change("config.yaml", "psf_fwhm_mm: 1.6", "psf_fwhm_mm: no")
    folder.change("config.yaml", "decay: true", "decay: 1")
    assert [e.where.split(",")[1] for e in folder.errors()] == [" line 1", " line 3", " line 4", " line 5"]


def test_a_digital_study_may_name_files_that_are_made_later(folder):
    folder.change("acquisitions.tsv", "scans/NAd1", "raw/NAd1")
    assert folder.errors() != []
    folder.change("config.yaml", "pet:", "phantom: {seed: 3, anything: {counts: 1e6}}\npet:")
    assert folder.load().config.phantom == {"seed": 3, "anything": {"counts": 1e6}}
