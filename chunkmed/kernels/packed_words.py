"""Loops over words of 64 voxels: rows into the padded stream and back, and one step of morphology.

Bit i of a word is voxel i of its row. Rows lie one after the other in one stream of words, with room
between rows, planes and volumes that holds the border value and is never written: a neighbour is the
voxel a fixed number of bits away, be it inside or not.
"""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import inlined, kernel, part

__all__ = ["GROUP_FIRST", "GROUP_NEXT", "GROUP_TO_FOUND", "TO_FOUND", "gather", "spread", "step"]

#: Kinds of a program's lines: the source meets what is found or a group, a group what is found.
TO_FOUND, GROUP_FIRST, GROUP_NEXT, GROUP_TO_FOUND = range(4)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel
def spread(flat, first, stream, start, sizes, pitches):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write voxels that lie one after the other, from bit ``first`` of ``flat`` on, to rows of the stream."""
    n, bit = sizes[3], first
    tail = ~(_ALL << np.uint64(n & 63))
    for a in range(sizes[0]):
        for z in range(sizes[1]):
            for y in range(sizes[2]):
                row = start + a * pitches[0] + z * pitches[1] + y * pitches[2]
                word, right = bit >> 6, np.uint64(bit & 63)
                # Shifted twice: a shift by all 64 bits is not defined.
                left = np.uint64(63) - right
                for i in range(n >> 6):
                    stream[row + i] = (flat[word + i] >> right) | (flat[word + i + 1] << left << np.uint64(1))
                if n & 63:
                    i = n >> 6
                    rest = (flat[word + i] >> right) | (flat[word + i + 1] << left << np.uint64(1))
                    stream[row + i] = (rest & tail) | (stream[row + i] & ~tail)
                bit += n


@kernel
def gather(stream, flat, first, start, sizes, pitches):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add rows of the stream to ``flat``, one voxel after the other from bit ``first`` on, which is zero."""
    n, bit = sizes[3], first
    tail = ~(_ALL << np.uint64(n & 63))
    for a in range(sizes[0]):
        for z in range(sizes[1]):
            for y in range(sizes[2]):
                row = start + a * pitches[0] + z * pitches[1] + y * pitches[2]
                word, left = bit >> 6, np.uint64(bit & 63)
                right = np.uint64(63) - left
                for i in range((n + 63) >> 6):
                    value = stream[row + i]
                    if i == n >> 6:
                        value &= tail
                    flat[word + i] |= value << left
                    flat[word + i + 1] |= value >> right >> np.uint64(1)
                bit += n


@kernel
def step(source, target, keep, program, flip, start, sizes, pitches, rows, margin):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write one erosion, or with all bits in ``flip`` one dilation, of ``source`` to ``target``.

    ``keep`` holds the voxels that may change: for ``rows`` rows, or as a stream of its own. ``program``
    is a table of which words meet which, and of how many bits lie between them.
    """
    # So many rows at a time that both stay in the processor's first cache.
    found = np.empty(rows * pitches[2], np.uint64)
    group = np.empty(len(found) + 2 * margin, np.uint64)
    whole = len(keep) == len(source)
    for a in range(sizes[0]):
        for z in range(sizes[1]):
            for y in range(0, sizes[2], rows):
                n = min(rows, sizes[2] - y) * pitches[2]
                at = start + a * pitches[0] + z * pitches[1] + y * pitches[2]
                found[:n] = _ALL
                for i in range(len(program)):
                    kind, distance = program[i, 0], program[i, 1]
                    if kind == GROUP_FIRST:
                        group[:] = _ALL
                    if kind == TO_FOUND:
                        _meet(found[:n], source, at, distance, flip)
                    elif kind == GROUP_TO_FOUND:
                        _meet(found[:n], group, margin, distance, np.uint64(0))
                    else:
                        _meet(group[: n + 2 * margin], source, at - margin, distance, flip)
                kept = keep[at : at + n] if whole else keep[:n]
                _change(source[at : at + n], found[:n], kept, flip, target[at : at + n])


@inlined
def _meet(found, words, at, distance, flip):  # type: ignore[no-untyped-def] # pragma: no cover
    low, bits = at + (distance >> 6), np.uint64(distance & 63)
    if bits == 0:
        _meet_words(found, words[low : low + len(found)], flip)
    else:
        high = low + 1
        _meet_bits(found, words[low : low + len(found)], words[high : high + len(found)], bits, flip)


@part
def _meet_words(found, words, flip):  # type: ignore[no-untyped-def] # pragma: no cover
    # Apart, on 1-D pieces: LLVM vectorises these loops.
    for i in range(len(found)):
        found[i] &= words[i] ^ flip


@part
def _meet_bits(found, low, high, bits, flip):  # type: ignore[no-untyped-def] # pragma: no cover
    rest = np.uint64(64) - bits
    for i in range(len(found)):
        found[i] &= ((low[i] >> bits) | (high[i] << rest)) ^ flip


@part
def _change(before, found, keep, flip, after):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(len(after)):
        after[i] = before[i] ^ ((before[i] ^ found[i] ^ flip) & keep[i])
