"""JPEG, PNG and other pictures: one plane without millimetres, decoded as a whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import SourceError
from chunkmed.provenance import content_hash

__all__ = ["PictureReader"]

Box = Sequence[tuple[int, int]]

#: How Pillow names what a pixel is -> what it is read as, and the type of its values.
_MODES = {
    "L": ("L", "uint8"),
    "1": ("L", "uint8"),
    "I;16": ("I;16", "uint16"),
    "I;16B": ("I;16B", "uint16"),
    "I": ("I", "int32"),
    "F": ("F", "float32"),
    "LA": ("RGBA", "uint8"),
    "PA": ("RGBA", "uint8"),
    "RGBA": ("RGBA", "uint8"),
}
_COLOUR = ("RGB", "uint8")


class PictureReader:
    """The pixels of a picture, (y, x) or (y, x, channel); cheap to send to a worker.

    Parameters
    ----------
    path : path
        A file that :func:`chunkmed.formats.kinds.is_picture` knows.

    Raises
    ------
    SourceError
        ``damaged-file``, or ``too-large`` beyond what Pillow takes for a decompression bomb.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(Path(path).absolute())
        about = Path(path).stat()
        with self._opened() as image:
            self._mode, dtype = _MODES.get(image.mode, _COLOUR)
            channels = {"RGB": (3,), "RGBA": (4,)}.get(self._mode, ())
            self.shape = (image.height, image.width, *channels)
        self.dtype = np.dtype(dtype)
        self.chunks = self.shape
        self.token = content_hash("picture", self.path, about.st_size, about.st_mtime_ns)

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the pixels of a box."""
        with self._opened() as image:
            try:
                whole = np.asarray(image if image.mode == self._mode else image.convert(self._mode))
            except (OSError, SyntaxError, ValueError) as error:
                raise self._damaged(error) from error
        return whole[tuple(slice(a, b) for a, b in box)].astype(self.dtype)

    def _opened(self) -> Any:
        # Here, for it takes time to import.
        from PIL import Image

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                return Image.open(self.path)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            where = Path(self.path).name
            raise SourceError(
                "the picture is too large", kind="too-large", where=where, why=str(error)
            ) from error
        except (OSError, SyntaxError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> SourceError:
        return SourceError(
            "the picture cannot be decoded",
            kind="damaged-file",
            where=Path(self.path).name,
            why=str(error).replace(self.path, "the file"),
            fix="get a whole copy of the file",
        )
