"""How much a file may ask for: what an image needs many times over, and a bomb more than once."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from types import TracebackType

from chunkmed.errors import InputError
from chunkmed.units import parse_bytes

__all__ = ["Limits", "current_limits", "limited", "too_large", "too_many_frames"]

#: A frame takes more of a file than this: its pixels, its functional groups, its place in a table.
_BYTES_PER_FRAME = 256
#: Smaller frames are decoded whatever they expand to.
_LARGE_SAMPLES = 32 * 2**20
#: Of a whole file, from where on it may not expand without bounds.
_LARGE_BYTES = 2**30
_FILE_EXPANSION = 16
_ELEMENTS_PER_FRAME, _BYTES_PER_ELEMENT = 500, 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may ask for before it is skipped, with the limit named."""

    depth: int = 100
    """Sequences in sequences."""
    elements: int = 20_000
    """Elements before the pixel data, those in sequences included; 500 more for each frame."""
    frames: int = 2048
    """Frames of a file; more where each takes 256 bytes of it."""
    header_bytes: int = 64 * 2**20
    """Of a deflated file, inflated to find its pixel data."""
    frame_bytes: int = 256 * 2**20
    """Of one frame that is decoded as a whole: compressed or deflated."""
    expansion: int = 64
    """Times its bytes in the file that a frame of more than 33 million samples may decode to."""

    def __post_init__(self) -> None:
        for item in fields(self):
            if getattr(self, item.name) < 1:
                raise InputError(
                    f"{item.name} = {getattr(self, item.name)}", kind="bad-limit", fix="give at least 1"
                )

    def elements_for(self, frames: int, file_bytes: int) -> int:
        """Return how many elements a file of this size and number of frames may have."""
        return self.elements + min(_ELEMENTS_PER_FRAME * frames, file_bytes // _BYTES_PER_ELEMENT)


_limits: list[Limits] = [Limits()]


def current_limits() -> Limits:
    """Return the limits that hold now."""
    return _limits[0]


class limited(AbstractContextManager[Limits]):  # noqa: N801 - as config
    """Set limits for the files that are read from now on, for good or within a ``with`` block.

    Parameters
    ----------
    **limits : int or str
        Fields of :class:`Limits`; those of bytes also like ``"1 GB"``. Others stay as they are.

    Raises
    ------
    InputError
        ``bad-limit`` for another name, or what is no positive whole number.

    Examples
    --------
    >>> with limited(depth=20, frame_bytes="1 GB") as limits:
    ...     limits.depth, limits.frame_bytes, limits.frames
    (20, 1000000000, 2048)
    >>> current_limits().depth
    100
    """

    def __init__(self, **limits: int | str) -> None:
        self._before = _limits[0]
        names = [item.name for item in fields(Limits)]
        for name in limits:
            if name not in names:
                raise InputError(f"no limit {name!r}", kind="bad-limit", fix=f"one of {', '.join(names)}")
        _limits[0] = replace(self._before, **{name: _number(name, value) for name, value in limits.items()})

    def __enter__(self) -> Limits:
        return _limits[0]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _limits[0] = self._before


def _number(name: str, value: int | str) -> int:
    if isinstance(value, str) and not value.isdecimal() and name.endswith("_bytes"):
        return parse_bytes(value)
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{name} = {value!r}", kind="bad-limit", fix="give a whole number") from None


def too_many_frames(frames: int, file_bytes: int) -> str | None:
    """Return why a file cannot hold so many frames, or None."""
    most = current_limits().frames
    if frames <= most or frames * _BYTES_PER_FRAME <= file_bytes:
        return None
    small = f"{frames} frames in {file_bytes} bytes, more than {most} that small"
    return f"announces {small}; --limit frames=N raises it"


def too_large(frame_bytes: int, samples: int, frames: int, file_bytes: int) -> str | None:
    """Return why frames that are decoded as a whole are not, or None.

    Parameters
    ----------
    frame_bytes, samples : int
        Size of a decoded frame, and how many numbers it holds.
    frames, file_bytes : int
        Frames of the file, and its size.
    """
    caps = current_limits()
    if frame_bytes > caps.frame_bytes:
        size = f"frames of {frame_bytes} bytes, more than {caps.frame_bytes}"
        return f"announces {size}; --limit frame_bytes=N raises it"
    large = samples > _LARGE_SAMPLES and frame_bytes * frames > caps.expansion * file_bytes
    whole = frame_bytes * frames
    if large or (whole > _LARGE_BYTES and whole > _FILE_EXPANSION * caps.expansion * file_bytes):
        return f"announces {whole} bytes of pixels in {file_bytes}; --limit expansion=N raises what is read"
    return None
