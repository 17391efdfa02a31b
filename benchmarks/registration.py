"""Times our deformable registration against elastix, greedy, ANTs and SimpleITK: in turn, in one run; prints Dice, time and ratio.

python benchmarks/registration.py [--repeats 1] [--size 256 128 128] [--peers PYTHON]

The case: two scans of the digital mouse, the second with a known affine and a smooth warp of up to 1.4 mm, both with blur and noise. All
get the same two images and no hint; the labels of all are carried by ours (largest linear share), along the transform each one found, and
compared with labels computed by formula. Peers run in a process of their own with the interpreter given by ``--peers`` (that of this run by
default), with two threads; the seconds are of the whole process, import, reading and writing included, as a workflow's job would pay them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
THREADS = "2"
VALUES = {
    "brain": 0.62, "heart": 0.75, "lung_left": 0.15, "lung_right": 0.15, "liver": 0.9, "spleen": 0.7, "stomach": 0.35, "gut": 0.5,
    "kidney_left": 0.8, "kidney_right": 0.8, "bladder": 1.0, "bone": 0.2, "rest": 0.45,
}  # fmt: skip

OURS = """
import sys; sys.path.insert(0, sys.argv[1])
import numpy as np
from tracker.image import Grid
from tracker.register import Options, register
from tracker.register.transform import bend_on_grid
case = np.load("case.npz"); grid = Grid(case["fixed"].shape, case["affine"])
found = register(case["fixed"], grid, case["moving"], grid, Options(metric=sys.argv[2]))
np.savez("ours.npz", affine=found.affine, vectors=found.bend.vectors_mm, bend=found.bend.grid.affine)
"""
# Displacements come out in LPS+ [mm], moving minus fixed, on the fixed grid.
ELASTIX = """
import itk, numpy as np
fixed, moving = itk.imread("fixed.nii", itk.F), itk.imread("moving.nii", itk.F)
p = itk.ParameterObject.New()
for name in ("affine", "bspline"):
    m = p.GetDefaultParameterMap(name, 4, 6.0) if name == "bspline" else p.GetDefaultParameterMap(name, 4)
    p.AddParameterMap(m)
_, found = itk.elastix_registration_method(fixed, moving, parameter_object=p)
t = itk.TransformixFilter.New(moving)
t.SetTransformParameterObject(found); t.SetComputeDeformationField(True); t.Update()
np.save("field.npy", itk.array_from_image(t.GetOutputDeformationField()))
"""
GREEDY = """
import numpy as np, SimpleITK as sitk
from picsl_greedy import Greedy3D
g = Greedy3D()
g.execute("-threads 2 -a -dof 12 -i fixed.nii moving.nii -o a.mat -m NCC 2x2x2 -n 100x50x10 -ia-identity")
g.execute("-threads 2 -i fixed.nii moving.nii -it a.mat -o warp.nii -m NCC 2x2x2 -n 100x50x10 -e 0.5")
g.execute("-threads 2 -rf fixed.nii -r warp.nii a.mat -rc all.nii")
np.save("field.npy", sitk.GetArrayFromImage(sitk.ReadImage("all.nii")))
"""
ANTS = """
import ants, numpy as np, SimpleITK as sitk
fixed, moving = ants.image_read("fixed.nii"), ants.image_read("moving.nii")
found = ants.registration(fixed, moving, type_of_transform="SyN")
ants.apply_transforms(fixed, moving, found["fwdtransforms"], compose="all_")
np.save("field.npy", sitk.GetArrayFromImage(sitk.ReadImage("all_comptx.nii.gz")))
"""
SIMPLEITK = """
import numpy as np, SimpleITK as sitk
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(2)
fixed, moving = sitk.ReadImage("fixed.nii", sitk.sitkFloat32), sitk.ReadImage("moving.nii", sitk.sitkFloat32)
r = sitk.ImageRegistrationMethod()
r.SetMetricAsMattesMutualInformation(32); r.SetMetricSamplingStrategy(r.REGULAR); r.SetMetricSamplingPercentage(0.1)
r.SetInterpolator(sitk.sitkLinear); r.SetShrinkFactorsPerLevel([8, 4, 2]); r.SetSmoothingSigmasPerLevel([2, 1, 0])
r.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 100); r.SetOptimizerScalesFromPhysicalShift()
middle = sitk.CenteredTransformInitializer(fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.GEOMETRY)
r.SetInitialTransform(sitk.AffineTransform(middle)); affine = r.Execute(fixed, moving)
near = sitk.Resample(moving, fixed, affine)
d = sitk.FastSymmetricForcesDemonsRegistrationFilter(); d.SetNumberOfIterations(30); d.SetStandardDeviations(1.5)
field = None
for k in (4, 2, 1):
    f, m = (sitk.BinShrink(i, [k] * 3) for i in (fixed, near))
    if field is not None:
        field = sitk.Resample(field, f)
    field = d.Execute(f, m, field) if field is not None else d.Execute(f, m)
both = sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))])
out = sitk.TransformToDisplacementField(both, sitk.sitkVectorFloat32, fixed.GetSize(), fixed.GetOrigin(), fixed.GetSpacing(), fixed.GetDirection())
np.save("field.npy", sitk.GetArrayFromImage(out))
"""  # noqa: E501
PEERS = {
    "elastix": ("itk", ELASTIX),
    "greedy": ("picsl_greedy", GREEDY),
    "ants": ("ants", ANTS),
    "simpleitk affine + demons": ("SimpleITK", SIMPLEITK),
}


def points(affine: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """RAS+ [mm] of every voxel, three arrays (z, y, x)."""
    k, j, i = np.meshgrid(*[np.arange(n, dtype=float) for n in shape], indexing="ij")
    return [r[0] * i + r[1] * j + r[2] * k + r[3] for r in affine[:3]]


def warp(p: list[np.ndarray]) -> list[np.ndarray]:
    """Moving → fixed points [mm]: turn, stretch, shift, and three waves of 1.0 to 1.4 mm, 27 to 37 mm long."""
    from scipy.spatial.transform import Rotation

    linear = Rotation.from_euler("xyz", (5, -4, 7), degrees=True).as_matrix() @ np.diag([1.06, 0.95, 1.04])
    x, y, z = [linear[r, 0] * p[0] + linear[r, 1] * p[1] + linear[r, 2] * p[2] + s for r, s in enumerate((1.5, -1.2, 2.0))]
    t = 2 * np.pi
    return [
        x + 1.2 * np.sin(t * z / 31 + 0.3) * np.cos(t * y / 37),
        y + 1.0 * np.sin(t * x / 29 + 1.1) * np.cos(t * z / 35),
        z + 1.4 * np.sin(t * y / 27 + 0.7) * np.cos(t * x / 33 + 0.4),
    ]


def draw(p: list[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels by formula, and the scan: one value per organ, blur of 0.7 voxels, Rician noise of 0.03."""
    from scipy.ndimage import gaussian_filter

    from tracker.mouse import ORGANS, inside, organ_shapes

    shapes = organ_shapes(25.0)
    labels = np.where(inside(shapes["body"], *p), len(ORGANS), 0).astype(np.uint16)
    for n, name in enumerate(ORGANS[:-1], start=1):
        labels[inside(shapes[name], *p)] = n
    clean = gaussian_filter(np.array([0.0, *(VALUES[o] for o in ORGANS)], np.float32)[labels], 0.7)
    rng = np.random.default_rng(seed)
    return labels, np.hypot(clean + 0.03 * rng.standard_normal(clean.shape), 0.03 * rng.standard_normal(clean.shape)).astype(np.float32)


def make(shape: tuple[int, int, int], folder: Path) -> None:
    import nibabel as nib

    voxel = 96.0 / shape[0]
    affine = np.diag([-voxel, -voxel, voxel, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    p = points(affine, shape)
    (fixed_labels, fixed), (moving_labels, moving) = draw(p, 1), draw(warp(p), 2)
    np.savez(folder / "case.npz", fixed=fixed, moving=moving, affine=affine, fixed_labels=fixed_labels, moving_labels=moving_labels)
    for name, image in (("fixed", fixed), ("moving", moving)):
        nib.save(nib.Nifti1Image(image.T, affine), folder / f"{name}.nii")


def run(python: str, code: str, folder: Path, *args: str) -> tuple[float, str]:
    """Wall-clock [s] of a process, and the last line of what it complained of (empty where it did not)."""
    env = dict(os.environ) | {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": THREADS, "OMP_NUM_THREADS": THREADS}
    start = time.perf_counter()
    done = subprocess.run([python, "-c", code, *args], cwd=folder, capture_output=True, text=True, env=env, check=False)
    return time.perf_counter() - start, "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["failed"])[-1]


def scores(folder: Path, ours: bool) -> np.ndarray:
    """Dice of the 12 organs, labels carried along what ``folder`` holds."""
    from tracker.image import Grid, OrganMap
    from tracker.mouse import ORGANS
    from tracker.register import Bend, Transform, carry_map, dice

    case = np.load(folder / "case.npz")
    grid = Grid(case["fixed"].shape, case["affine"])
    if ours:
        found = np.load(folder / "ours.npz")
        vectors = found["vectors"]
        transform = Transform(found["affine"], Bend(vectors, Grid(vectors.shape[:3], found["bend"])))
    else:
        field = np.load(folder / "field.npy").reshape(*grid.shape, 3)
        transform = Transform(np.eye(4), Bend(np.ascontiguousarray(field * np.array([-1, -1, 1], np.float32), np.float32), grid))
    organs = OrganMap(case["moving_labels"], dict(enumerate(ORGANS, start=1)), grid)
    labels = carry_map(organs, transform, grid).labels
    return np.array([dice(labels, case["fixed_labels"], n) or 0.0 for n in range(1, len(ORGANS))])


def present(python: str, module: str) -> bool:
    code = "import sys, importlib.util as u; sys.exit(u.find_spec(sys.argv[1]) is None)"
    return subprocess.run([python, "-c", code, module], check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=3, default=(256, 128, 128), help="voxels along z, y, x; z spans 96 mm")
    parser.add_argument("--peers", default=sys.executable, help="the Python that has itk-elastix, picsl_greedy, antspyx, SimpleITK")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(tuple(options.size), folder)
        run(sys.executable, OURS, folder, str(ROOT), "mutual_information")  # compiles
        rows = {f"ours, {m}": (sys.executable, OURS, (str(ROOT), m)) for m in ("correlation", "mutual_information")}
        for peer, (module, code) in PEERS.items():
            if present(options.peers, module):
                rows[peer] = (options.peers, code, ())
            else:
                print(f"{peer:28s} skipped: {module} is not installed")
        seconds: dict[str, list[float]] = {row: [] for row in rows}
        print(f"{options.size} voxels, {options.repeats} runs in turn; seconds of the whole process, median; ratio to ours, correlation")
        for repeat in range(options.repeats):
            for row, (python, code, args) in rows.items():
                took, wrong = run(python, code, folder, *args)
                seconds[row].append(took)
                if repeat == 0:
                    found = scores(folder, row.startswith("ours")) if not wrong else None
                    text = f"Dice mean {found.mean():.4f} min {found.min():.4f}" if found is not None else f"failed: {wrong[:80]}"
                    print(f"{row:28s} {text}   {took:6.1f} s", flush=True)
        base = np.array(seconds["ours, correlation"])
        for row, times in seconds.items():
            ratio = np.array(times) / base
            print(f"{row:28s} {np.median(times):7.1f} s   {np.median(ratio):6.2f} ({ratio.min():.2f} to {ratio.max():.2f})")


if __name__ == "__main__":
    main()
