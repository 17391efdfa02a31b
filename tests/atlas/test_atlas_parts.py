"""Names and tissues, classes and their brightness, arches, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracker.atlas import Atlas, read_atlas
from tracker.atlas.arch import arch_mm, axes_of
from tracker.atlas.checks import is_cut
from tracker.atlas.classes import class_means, classes_of
from tracker.atlas.tissues import tissue_of
from tracker.errors import InputError
from tracker.image import Grid, OrganMap
from tracker.mouse import ORGANS, mouse_grid, mouse_labels
from tracker.nifti import write_nifti
from tracker.register.pyramid import Picture

DIGIMOUSE = (
    *("skin", "skeleton", "eye", "medulla", "cerebellum", "olfactory_bulbs", "external_cerebrum", "striatum", "heart", "rest_of_brain"),
    *("masseter", "lachrymal", "bladder", "testis", "stomach", "spleen", "pancreas", "liver", "kidneys", "adrenals", "lungs"),
)
MOUSE = [
    "skin",
    "skeleton",
    "eye",
    "medulla",
    "cerebellum",
    "olfactory_bulbs",
    "external_cerebrum",
    "striatum",
    "heart",
    "rest_of_brain",
    "masseter",
    "lachrymal",
    "bladder",
    "testis",
    "stomach",
    "spleen",
    "pancreas",
    "liver",
    "kidneys",
    "adrenals",
    "lungs",
]
MOUSE = Atlas(mouse_labels(25.0, mouse_grid(25.0, 1.0)))


@pytest.mark.parametrize("name", [*ORGANS, *DIGIMOUSE, "Left-Kidney", "brown_fat", "small_intestine", "GallBladder", "thoracic_vertebrae"])
def test_common_names_are_known(name: str) -> None:
    assert tissue_of(name) is not None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("lungs", "lung"), ("skeleton", "bone"), ("rest_of_brain", "soft"), ("rest", "body"), ("skin", "body"), ("bladder", "fluid"),
     ("backbone", "bone"), ("trachea", "air"), ("lung_left", "lung"), ("adipose", "fat")],
)  # fmt: skip
def test_kinds(name: str, kind: str) -> None:
    found = tissue_of(name)
    assert found is not None and found.kind == kind


@pytest.mark.parametrize("name", ["organ_7", "x", "restaurant", "spare"])
def test_unknown_names_are_none_and_told(name: str) -> None:
    assert tissue_of(name) is None
    atlas = Atlas(OrganMap(np.pad(np.ones((6, 6, 6), np.uint8), 3), {1: name}, Grid((12, 12, 12), np.eye(4))))
    _, (finding,) = classes_of(atlas, "ct")
    assert finding.status == "warn" and name in finding.reason


def test_an_atlas_without_a_body_gets_one_around_its_organs() -> None:
    names = {i: n for i, n in MOUSE.organ_map.names.items() if n != "rest"}
    labels = np.where(MOUSE.organ_map.labels == len(ORGANS), 0, MOUSE.organ_map.labels)
    classes, _ = classes_of(Atlas(OrganMap(labels, names, MOUSE.organ_map.grid)), "ct")
    assert classes.filled and classes.tissues[-1].kind == "body"
    # The atlas's labels stay as they are, and most of the true body is body again; muzzle and rump are not to be had.
    np.testing.assert_array_equal(classes.labels[labels > 0], labels[labels > 0])
    made, true = classes.labels > 0, MOUSE.organ_map.labels > 0
    assert 2 * (made & true).sum() / (made.sum() + true.sum()) > 0.7


def test_an_atlas_s_own_image_divides_what_has_no_name() -> None:
    rng = np.random.default_rng(0)
    labels = MOUSE.organ_map.labels
    values = np.where(labels > 0, 100.0, 0.0) + rng.normal(0, 2, labels.shape)
    half = np.arange(labels.shape[0])[:, None, None] < labels.shape[0] // 2
    values = np.where((labels == len(ORGANS)) & half, 160.0, values)
    classes, _ = classes_of(Atlas(MOUSE.organ_map, values), "other")
    rest = labels == len(ORGANS)
    bright, dull = set(np.unique(classes.labels[rest & half])), set(np.unique(classes.labels[rest & ~half]))
    assert bright.isdisjoint(dull) and not classes.filled
    organ = (labels > 0) & ~rest
    np.testing.assert_array_equal(classes.labels[organ], labels[organ])
    assert (classes.labels[labels == 0] == 0).all()


def test_means_are_the_scan_s_own_and_a_spine_beside_its_place_is_still_bone() -> None:
    classes, _ = classes_of(MOUSE, "ct")
    true = np.array([-1000.0, *range(10, 10 * len(ORGANS) + 1, 10)])
    bone = ORGANS.index("bone") + 1
    true[bone] = 700.0
    scan = true[classes.labels]
    np.testing.assert_allclose(class_means(scan, classes.labels, classes, rough=False), true)
    aside = np.roll(classes.labels, 3, axis=2)
    assert class_means(scan, aside, classes, rough=True)[bone] > 500 > class_means(scan, aside, classes, rough=False)[bone]


def test_a_class_that_the_scan_does_not_show_draws_nothing() -> None:
    classes, _ = classes_of(MOUSE, "mr")
    brain = ORGANS.index("brain") + 1
    half = np.where(classes.labels == brain, 0, classes.labels)
    scan = classes.image.copy()
    means = class_means(scan, half, classes, rough=False)
    assert means[brain] == means[len(ORGANS)]


def test_long_axis_and_arch() -> None:
    grid = mouse_grid(25.0, 1.0)
    axes = axes_of(Picture((MOUSE.organ_map.labels > 0).astype(np.float32), grid, 0.5))
    # A mouse lies along z, 92 mm long, thinner towards its ends: a rod of as large an sd is 71 mm long.
    assert abs(axes.ways[0, 2]) > 0.999 and 33 < axes.half_mm < 40
    bow = arch_mm(axes, np.array([2.0, 0, 0, 0]), grid)
    middle = bow[grid.shape[0] // 2].reshape(-1, 3)
    # Legendre's second polynomial is -1/2 in the middle, and the move is across the long axis.
    np.testing.assert_allclose(np.linalg.norm(middle, axis=1), 1.0, rtol=0.01)
    assert np.abs(bow @ axes.ways[0]).max() < 1e-5


def test_a_body_at_the_field_s_face_is_cut() -> None:
    body = MOUSE.organ_map.labels > 0
    assert not is_cut(body)
    assert is_cut(body[40:]) and is_cut(body[:, : body.shape[1] // 2]) and is_cut(body[..., body.shape[2] // 2 :])


def _files(folder: Path, names: str) -> tuple[Path, Path, Path]:
    labels, table, image = folder / "a.nii.gz", folder / "words.tsv", folder / "ct.nii.gz"
    write_nifti(labels, MOUSE.organ_map.labels, MOUSE.organ_map.grid, np.uint8)
    write_nifti(image, MOUSE.organ_map.labels * 2.0, MOUSE.organ_map.grid)
    table.write_text(names, encoding="utf-8")
    return labels, table, image


TABLE = "index\tname\n" + "".join(f"{i}\t{name}\n" for i, name in enumerate(ORGANS, start=1))


def test_an_atlas_is_read_from_labels_names_and_image(tmp_path: Path) -> None:
    labels, table, image = _files(tmp_path, TABLE)
    atlas = read_atlas(labels, table, image)
    assert atlas.organ_map.names == MOUSE.organ_map.names
    np.testing.assert_array_equal(atlas.organ_map.labels, MOUSE.organ_map.labels)
    assert atlas.values is not None and np.array_equal(atlas.values, MOUSE.organ_map.labels * 2.0)
    assert read_atlas(labels, table).values is None


def test_an_atlas_with_another_image_or_an_unnamed_label_is_refused(tmp_path: Path) -> None:
    labels, table, image = _files(tmp_path, TABLE)
    moved = MOUSE.organ_map.grid.affine.copy()
    moved[0, 3] += 1
    write_nifti(image, MOUSE.organ_map.labels * 2.0, Grid(MOUSE.organ_map.grid.shape, moved))
    with pytest.raises(InputError, match="atlas_image_grid"):
        read_atlas(labels, table, image)
    table.write_text(TABLE.replace("13\trest\n", ""), encoding="utf-8")
    with pytest.raises(InputError, match="unnamed_label"):
        read_atlas(labels, table)
