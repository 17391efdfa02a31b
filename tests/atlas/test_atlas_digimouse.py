"""Digimouse, a real mouse's labels, laid on the parametric mouse and the other way round, organ by organ.

The array as shipped runs x to the animal's left (spleen and stomach at high x; the larger lung and the higher kidney at low x), y from
head to tail, z from belly to back: a right-handed set, no mirror image. No number here is a quality limit of the method: the two
animals are one body and another's drawing, without a skull in the one and legs in the other. What must hold is that nothing is turned
about and that organs next to what both have (lungs, outline) are met.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.ndimage import gaussian_filter

from tracker.atlas import Atlas, fit_atlas
from tracker.atlas.tissues import AIR, tissue_of
from tracker.image import Grid, OrganMap
from tracker.mouse import mouse_grid, mouse_labels
from tracker.register import dice

pytestmark = [pytest.mark.shared, pytest.mark.slow]

NAMES = (
    *("skin", "skeleton", "eye", "medulla", "cerebellum", "olfactory_bulbs", "external_cerebrum", "striatum", "heart", "rest_of_brain"),
    *("masseter", "lachrymal", "bladder", "testis", "stomach", "spleen", "pancreas", "liver", "kidneys", "adrenals", "lungs"),
)
# Our organ, and the parts of either map that make it up.
PARTS = {
    "brain": {"brain", "medulla", "cerebellum", "olfactory_bulbs", "external_cerebrum", "striatum", "rest_of_brain"},
    "lungs": {"lung_left", "lung_right", "lungs"},
    "kidneys": {"kidney_left", "kidney_right", "kidneys"},
    "body": {*NAMES, "lung_left", "lung_right", "kidney_left", "kidney_right", "brain", "gut", "bone", "rest"},
    **{name: {name} for name in ("liver", "heart", "spleen", "stomach", "bladder")},
}


@pytest.fixture(scope="module")
def digimouse(shared_data: Path) -> OrganMap:
    path = shared_data / "digimouse" / "digimouse.mat"
    if not path.is_file():
        pytest.skip("Digimouse is not beside this repository")
    labels = np.ascontiguousarray(loadmat(path)["digimouse"][::2, ::2, ::2].T)
    affine = np.zeros((4, 4))
    affine[0, 0], affine[1, 2], affine[2, 1], affine[3, 3] = -0.4, -0.4, -0.4, 1.0
    return OrganMap(labels, dict(enumerate(NAMES, start=1)), Grid(labels.shape, affine))


def ct_of(organ_map: OrganMap) -> np.ndarray:
    """A noisy CT with numbers that are not quite those the atlas's tissues begin with."""
    table = np.zeros(len(organ_map.names) + 1)
    table[0] = AIR.ct_hu
    for index, name in organ_map.names.items():
        tissue = tissue_of(name)
        assert tissue is not None
        table[index] = 1.1 * tissue.ct_hu + 5
    noise = 30 * np.random.default_rng(0).standard_normal(organ_map.labels.shape)
    return (gaussian_filter(table[organ_map.labels], 0.6) + noise).astype(np.float32)


def merged(organ_map: OrganMap, names: set[str]) -> np.ndarray:
    return np.isin(organ_map.labels, [i for i, name in organ_map.names.items() if name in names]).astype(np.uint8)


def middle_mm(organ_map: OrganMap, names: set[str]) -> np.ndarray:
    z, y, x = np.argwhere(merged(organ_map, names)).mean(axis=0)
    return (organ_map.grid.affine @ [x, y, z, 1])[:3]


def test_the_axes_are_those_of_the_animal(digimouse: OrganMap) -> None:
    """RAS+ as the parametric mouse has it: each of these signs is wrong under some flip."""
    for mouse in (digimouse, mouse_labels(25.0, mouse_grid(25.0, 0.6))):
        assert middle_mm(mouse, {"spleen"})[0] < middle_mm(mouse, PARTS["liver"])[0]
        assert middle_mm(mouse, PARTS["kidneys"])[1] < middle_mm(mouse, PARTS["heart"])[1]
        assert middle_mm(mouse, PARTS["bladder"])[2] < middle_mm(mouse, PARTS["kidneys"])[2] < middle_mm(mouse, PARTS["brain"])[2]


@pytest.mark.parametrize("way", ["digimouse on the parametric mouse", "and back"])
def test_organ_by_organ(digimouse: OrganMap, way: str) -> None:
    drawn = mouse_labels(28.0, mouse_grid(28.0, 0.5))
    atlas, scan = (digimouse, drawn) if way.startswith("digi") else (drawn, digimouse)
    found = fit_atlas(ct_of(scan), scan.grid, "ct", Atlas(atlas))
    overlap = {organ: dice(merged(found.organ_map, names), merged(scan, names), 1) or 0.0 for organ, names in PARTS.items()}
    print(way, {organ: round(value, 2) for organ, value in overlap.items()})
    assert found.pose.name == "as given"
    assert not [f for f in found.findings if f.check == "suspected_flip"]
    # Measured 0.95, 0.77 and 0.63; an organ turned about would have next to nothing.
    assert overlap["body"] > 0.9 and overlap["lungs"] > 0.6 and overlap["liver"] > 0.5, overlap
    sd = [found.organ_map.boundary_sd_mm[i] for i in np.unique(found.organ_map.labels) if i]
    # Another's drawing of a mouse: no border but the outline's and the lungs' is said to be sure to half a millimetre.
    assert np.median(sd) > 0.5
