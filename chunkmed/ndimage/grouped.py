"""What measurements of labelled objects take: an image, labels and an index, on common axes.

With a time dimension every result gains a leading ``t``; labels and images without time broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import broadcast
from chunkmed.errors import InputError
from chunkmed.graph.constant import Constant
from chunkmed.graph.groups import Groups
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Array, Node
from chunkmed.kernels.distinct import distinct

__all__ = ["Request", "request", "stacked"]


@dataclass(frozen=True)
class Request:
    """An image and its groups of voxels, and which of them are wanted."""

    nodes: tuple[Node, ...]
    groups: Groups
    like: Lifted
    index: Any
    """As it was given; None without labels."""

    @property
    def single(self) -> bool:
        """Whether scipy gives one result and not one per label."""
        return self.index is None or np.ndim(self.index) == 0

    @property
    def rows(self) -> Array:
        """The group of each label that was asked for, flat."""
        if self.groups.names is None:
            return np.zeros(1, np.int64)
        return np.searchsorted(self.groups.names, np.asarray(self.index).ravel())

    @property
    def called(self) -> list[str]:
        """What errors call each group."""
        if self.groups.names is None:
            return ["all labels together" if self.groups.masked else "the image"]
        return [f"label {name}" for name in self.groups.names.tolist()]


def request(input: Any, labels: Any, index: Any, *, exact_index: bool = False) -> Request:  # noqa: A002
    """Return images and groups of a measurement.

    Parameters
    ----------
    input : image or number
        Values.
    labels : image, optional
        Objects; all voxels without it.
    index : int or sequence of int, optional
        Labels wanted; all above zero together without it.
    exact_index : bool
        Whether an index that the labels' dtype does not hold is refused, and one without labels.

    Raises
    ------
    InputError
        ``shape-mismatch``, ``other-grid``, ``bad-index``.
    """
    scalar = np.ndim(input) == 0 and not isinstance(input, xr.DataArray)
    given = [_image(item) for item in (None if scalar else input, labels) if item is not None]
    lifted = [lift(item).one_channel() for item in _aligned(given)]
    like = next((item for item in lifted if item.dims is not None), lifted[0])
    nodes = [item.node for item in lifted]
    if scalar:
        nodes.insert(0, Constant(nodes[0].shape, np.asarray(input)))
    if labels is None:
        if exact_index and index is not None:
            raise InputError("index without defined labels", kind="bad-index", fix="give labels")
        index = None
    elif exact_index and index is not None:
        _check_index(np.asarray(index), nodes[1].dtype)
    names = None if index is None else distinct(np.asarray(index))
    groups = Groups(nodes[0].shape, like.time_axis, labels is not None, names)
    return Request(tuple(nodes), groups, like, index)


def _image(item: Any) -> Any:
    return item if is_lazy(item) else np.asarray(item)


def _aligned(images: list[Any]) -> list[Any]:
    """Return images of one shape."""
    if all(isinstance(item, xr.DataArray) for item in images):
        if len(images) == 2:
            images = list(broadcast(images[0], images[1], "the labels", "image and labels"))
        return [item.transpose(*images[0].dims) for item in images]
    if len({tuple(item.shape) for item in images}) > 1:
        why = " against ".join(str(tuple(item.shape)) for item in images)
        raise InputError("image and labels differ in shape", kind="shape-mismatch", why=why)
    return images


def _check_index(index: Array, dtype: np.dtype[Any]) -> None:
    with np.errstate(invalid="ignore"):
        same = index.astype(dtype).astype(index.dtype) == index
    if not np.all(same):
        raise InputError(
            f"Cannot convert index values from <{index.dtype}> to <{dtype}> (labels' type) "
            "without loss of precision",
            kind="bad-index",
        )


def stacked(rows: list[Any], asked: Request, more: str | None = None) -> Any:
    """Return results of all time points in scipy's shape, with a leading t where there is time.

    Parameters
    ----------
    rows : list of ndarray
        Of each time point, a row per label that was asked for.
    asked : Request
        The request.
    more : str, optional
        Name of the axis that a row has.
    """
    if asked.groups.time is None:
        # scipy keeps the shape of the index, whatever its number of axes.
        return rows[0][0] if asked.single else rows[0].reshape(np.shape(asked.index) + rows[0].shape[1:])
    image = asked.like.image
    dim = image.dims[asked.groups.time]
    values = np.stack([row[0] if asked.single else row for row in rows])
    dims = [dim, *([] if asked.single else ["label"]), *([] if more is None else [more])]
    coords: dict[Any, Any] = {dim: image.coords[dim].variable} if dim in image.coords else {}
    if not asked.single:
        coords["label"] = np.asarray(asked.index).ravel()
    return xr.DataArray(values, dims=dims, coords=coords)
