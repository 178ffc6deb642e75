"""How much a file may ask for: what an image needs many times over, and a bomb more than once."""

from __future__ import annotations

__all__ = ["DEEPEST", "FRAME_BYTES", "HEADER_BYTES", "MOST_ELEMENTS"]

#: Sequences in sequences.
DEEPEST = 100
#: Elements before the pixel data, those in sequences included: 10,000 frames have some 600,000.
MOST_ELEMENTS = 2_000_000
#: Headers end far before this; a stream that inflates further without pixels is no image.
HEADER_BYTES = 64 * 2**20
#: Of one frame, decoded.
FRAME_BYTES = 2**31
