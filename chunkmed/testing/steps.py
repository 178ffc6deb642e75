"""Random expressions over images: what users write, as hypothesis draws it.

Values that went through float sums in another order, or functions that round by the place in an
array, are not exact: no step with a jump (a comparison, a division without rest) sees them.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import strategies as st

from chunkmed.testing.expressions import Expression, choose, cut, elementwise, filled, filtered, reduced
from chunkmed.testing.strategies import border_modes, structures

__all__ = ["STEPS", "expressions"]

_BINARY = {"binary_erosion": 1, "binary_dilation": 1, "binary_opening": 2, "binary_closing": 2}


@st.composite
def expressions(
    draw: st.DrawFn, sources: Sequence[Expression], last: str | None = None, max_steps: int = 5
) -> Expression:
    """Draw an expression over images of one shape that ends with the step ``last`` of :data:`STEPS`."""
    pool = list(sources)
    names = draw(st.lists(st.sampled_from(list(STEPS)), min_size=1, max_size=max_steps))
    for name in [*names, *([] if last is None else [last])]:
        pool.append(STEPS[name](draw, pool))
    return pool[-1]


def _pick(
    draw: st.DrawFn, pool: Sequence[Expression], kinds: str = "biuf", exact: bool = False
) -> Expression:
    fitting = [item for item in pool if item.exact or not exact]
    # Mostly what was made last, so that little of what is drawn goes unused.
    found: Expression = draw(st.sampled_from([*[fitting[-1]] * (3 * len(fitting)), *fitting]))
    if found.kind in kinds:
        return found
    return elementwise(f"({found} as float32)", lambda a: a.astype("float32"), found)


def _partner(draw: st.DrawFn, pool: Sequence[Expression], first: Expression, exact: bool) -> Expression:
    shapes = (first.values.shape, first.values.shape[1:])
    fitting = [item for item in pool if item.values.shape in shapes and (item.exact or not exact)]
    found: Expression = draw(st.sampled_from(fitting[::-1]))
    return found


def _arithmetic(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first = _pick(draw, pool)
    which = draw(st.sampled_from(["image", "scalar", "per time", "quotient"]))
    if which == "quotient":
        return elementwise(f"({first} / 3)", lambda a: a / 3, first)
    if which == "per time" and first.values.ndim == 4:
        return elementwise(f"({first} * t)", _times_time, first, scale=first.scale * 9)
    if which == "image":
        second = _partner(draw, pool, first, exact=False)
        large = first.scale * second.scale
        names = ["and_", "or_", "xor"] if first.kind == second.kind == "b" else ["add", "sub"]
        names += ["mul"] * (large < 1e6)
        name = draw(st.sampled_from(names))
        large = large if name == "mul" else first.scale + second.scale
        return elementwise(f"{name}({first}, {second})", getattr(operator, name), first, second, scale=large)
    value = draw(st.sampled_from([2, 7, 2.5, np.float32(0.3), np.int16(5)]))
    name = draw(st.sampled_from(["add", "mul", "floordiv", "mod"] if first.exact else ["add", "mul"]))
    function = getattr(operator, name)
    return elementwise(
        f"{name}({first}, {value!r})", lambda a: function(a, value), first, scale=first.scale * 8
    )


def _times_time(image: Any) -> Any:
    times = np.arange(1, image.shape[0] + 1, dtype=np.int16)
    return image * (
        xr.DataArray(times, dims="t") if isinstance(image, xr.DataArray) else times[:, None, None, None]
    )


def _compared(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first = _pick(draw, pool, exact=True)
    name = draw(st.sampled_from(["gt", "ge", "lt", "le", "eq", "ne"]))
    function = getattr(operator, name)
    if draw(st.booleans()):
        second = _partner(draw, pool, first, exact=True)
        return elementwise(f"{name}({first}, {second})", function, first, second)
    return elementwise(f"({first} {name} 9)", lambda a: function(a, 9), first)


def _ufunc(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    name = draw(st.sampled_from(["sqrt", "arctan", "maximum", "floor", "isfinite", "logical_not"]))
    first = _pick(draw, pool, "f" if name in ("sqrt", "arctan", "floor") else "biuf", exact=True)
    if name == "maximum":
        return elementwise(f"maximum({first}, 4)", lambda a: np.maximum(a, 4), first)
    if name == "sqrt":
        return elementwise(f"sqrt({first})", lambda a: np.sqrt(abs(a)), first)
    return elementwise(f"{name}({first})", getattr(np, name), first, exact=name != "arctan")


def _where(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    mask, first = _compared(draw, pool), _pick(draw, pool)
    first = first if first.values.shape == mask.values.shape else mask
    second = _partner(draw, pool, first, exact=False)
    return elementwise(f"where({mask}, {first}, {second})", choose, mask, first, second)


def _converted(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    dtype = draw(st.sampled_from(["bool", "uint8", "int16", "int32", "float32", "float64"]))
    first = _pick(draw, pool, exact=np.dtype(dtype).kind != "f")
    if first.kind == "f" and np.dtype(dtype).kind in "iu":
        # What NaN and large numbers become as integers is not defined.
        return elementwise(f"{dtype}({first})", lambda a: filled(a).clip(0, 100).astype(dtype), first)
    return elementwise(f"{dtype}({first})", lambda a: a.astype(dtype), first)


def _limited(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first = _pick(draw, pool, "iuf")
    return elementwise(f"clip({first}, 3, 30)", lambda a: a.clip(3, 30), first)


def _missing(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first = _pick(draw, pool, "f")
    if draw(st.booleans()):
        return elementwise(f"fillna({first})", filled, first)
    return elementwise(
        f"isnull({first})", lambda a: a.isnull() if isinstance(a, xr.DataArray) else np.isnan(a), first
    )


def _sliced(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first = _pick(draw, pool)
    axis = draw(st.integers(0, first.values.ndim - 1))
    n = first.values.shape[axis]
    if n == 1:
        return first
    start = draw(st.integers(0, n - 1))
    stop = draw(st.integers(start + 1, n))
    part = cut(f"{first}[{start}:{stop} of {axis}]", first, axis, slice(start, stop), start)
    kind = draw(st.sampled_from(["part", "neighbours", "frame"]))
    if kind == "part":
        return part
    if kind == "frame" and first.values.ndim == 4:
        frame = cut(f"{first}[t={start}]", first, 0, min(start, len(first.values) - 1), 0)
        return elementwise(f"({first} + {frame})", operator.add, first, frame, scale=2 * first.scale)
    after = cut(f"{first}[1: of {axis}]", first, axis, slice(1, None), 1)
    before = cut(f"{first}[:-1 of {axis}]", first, axis, slice(None, -1), 0)
    return elementwise(f"({after} + {before})", operator.add, after, before, scale=2 * first.scale)


def _reduced(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first, name = _pick(draw, pool), draw(st.sampled_from(["mean", "std", "min", "max", "sum"]))
    return reduced(name, first) if first.values.ndim == 4 else first


def _gaussian(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first, mode = _pick(draw, pool), draw(border_modes())
    sigma = draw(st.sampled_from([0.4, 0.9]))
    return filtered("gaussian_filter", first, int(4 * sigma + 0.5), sigma=sigma, mode=mode, cval=4.0)


def _median(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first, size, mode = _pick(draw, pool), draw(st.integers(1, 3)), draw(border_modes())
    # Where NaN stands in an order is not defined.
    first = elementwise(f"fillna({first})", filled, first) if first.kind == "f" else first
    origin = draw(st.integers(-(size // 2), (size - 1) // 2))
    settings = {"size": size, "mode": mode, "origin": origin, "cval": 1.0}
    return filtered("median_filter", first, size // 2 + abs(origin), **settings)


def _morphology(draw: st.DrawFn, pool: Sequence[Expression]) -> Expression:
    first, name = _pick(draw, pool, exact=True), draw(st.sampled_from(sorted(_BINARY)))
    level = draw(st.sampled_from([None, 3, 30, 54]))
    if first.kind != "b" and level is not None:
        # What is drawn is hardly ever zero; eroding and dilating need many and few voxels.
        first = elementwise(f"({first} > {level})", lambda a: a > level, first)
    iterations, origin = draw(st.integers(1, 2)), draw(st.integers(-1, 1))
    settings = {
        "iterations": iterations,
        "border_value": draw(st.integers(0, 1)),
        "origin": origin,
        "structure": draw(st.none() | structures(3, symmetric=False)),
    }
    depth = _BINARY[name] * iterations * (1 + abs(origin))
    return filtered(name, first, depth, **settings)


_ALL = (
    *(_arithmetic, _compared, _ufunc, _where, _converted, _limited),
    *(_missing, _sliced, _reduced, _gaussian, _median, _morphology),
)
#: What an expression is made of, by name.
STEPS = {step.__name__.strip("_"): step for step in _ALL}
