"""SimpleITK with the whole image in memory, with as many threads as there are workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import SimpleITK as sitk  # noqa: N813 - its users' name

from benchmarks.peers import Facts, Job
from benchmarks.peers.whole import run_whole, steps_of

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("",), True


def on_images(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays from a function of images; masks are bytes there."""
    held: list[Any] = []

    def act(volume: Any, **settings: Any) -> Any:
        mask = volume.dtype == bool
        image = sitk.GetImageFromArray(volume.view("uint8") if mask else volume)
        # A view does not keep its image.
        held[:] = [function(image, **settings)]
        out = sitk.GetArrayViewFromImage(held[0])
        return out.view(bool) if mask and out.dtype == "uint8" else out

    return act


def radii(size: Any) -> list[int]:
    """Return radii along x, y, z of a window given along z, y, x."""
    sizes = size if isinstance(size, tuple) else (size,) * 3
    return [n // 2 for n in reversed(sizes)]


def gaussian(image: Any, sigma: float) -> Any:
    """Convolve; its default kernel is cut at 1 % of the error."""
    return sitk.DiscreteGaussian(image, variance=sigma**2, maximumKernelWidth=65, maximumError=0.001)


def closing(image: Any, iterations: int) -> Any:
    """Close with the cross: an octahedron is what iterations of it reach."""
    dilated = image
    for step in (sitk.BinaryDilate, sitk.BinaryErode):
        for _ in range(iterations):
            dilated = step(dilated, [1, 1, 1], sitk.sitkCross)
    return dilated


def percentile(image: Any, percentile: float, size: int) -> Any:
    """Rank of a box."""
    return sitk.Rank(image, rank=percentile / 100, radius=radii(size))


def edt(image: Any, sampling: tuple[float, ...]) -> Any:
    """Distance inside the mask, from its outermost voxels on (scipy: to the nearest voxel outside)."""
    image.SetSpacing(list(reversed(sampling)))
    return sitk.SignedMaurerDistanceMap(
        image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True
    )


_OWN: dict[str, Callable[..., Any]] = {
    "gaussian_filter": gaussian,
    "binary_closing": closing,
    "median_filter": lambda image, size: sitk.Median(image, radii(size)),
    "percentile_filter": percentile,
    "uniform_filter": lambda image, size: sitk.Mean(image, radii(size)),
    "maximum_filter": lambda image, size: sitk.GrayscaleDilate(image, radii(size), sitk.sitkBox),
    "grey_closing": lambda image, size: sitk.GrayscaleMorphologicalClosing(image, radii(size), sitk.sitkBox),
    "laplace": lambda image: sitk.Laplacian(sitk.Cast(image, sitk.sitkFloat32)),
    "sobel_magnitude": sitk.SobelEdgeDetection,
    "binary_fill_holes": sitk.BinaryFillhole,
    "label": sitk.ConnectedComponent,
    "distance_transform_edt": edt,
}
STEPS = steps_of({name: on_images(function) for name, function in _OWN.items()})


def run(job: Job) -> Facts:
    """Read all, compute, write all."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(job.workers)
    return run_whole(job, STEPS)
