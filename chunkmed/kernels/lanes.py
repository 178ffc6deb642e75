"""Sums of shifted lines in the processor's vector registers, written as LLVM's own vectors.

The vectoriser gives up on loops over many lines: it would have to prove that none of them overlaps the
sums. Here the sums of a few vectors stay in registers over all weights; LLVM makes of the vectors what a
processor has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

__all__ = ["TILE", "cut_differences", "cut_in_order", "cut_pairs", "differences", "in_order", "pairs"]
__all__ += ["threes"]

#: Sums that are made at a time; what reads and writes them has room for a tile more than it needs.
TILE = 32
#: Bytes of a vector; narrower machines take it in pieces.
_VECTOR = 32
_INT, _SHORT_INT = ir.IntType(64), ir.IntType(32)


def _summing(joined: str | None) -> Any:
    """Return the function that fills one tile with a weighted sum of lines.

    Weights are summed as scipy.ndimage does: a middle one, then the others in order, with ``joined``
    those of both sides together (``fadd``, ``fsub``). Sums of float64 are rounded after every operation;
    those of float32 need not be.
    """

    @intrinsic
    def tile(typingctx, out, at, lines, first, step, weights, middle):  # type: ignore[no-untyped-def] # pragma: no cover
        whole = types.intp
        signature = types.void(out, whole, lines, whole, whole, weights, whole)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            writer = _Tile(context, builder, signature, arguments, joined)
            writer.store(writer.sums())
            return context.get_dummy_value()

        return signature, generate

    return tile


def _cutting(joined: str | None) -> Any:
    """Return the function that fills one tile of integers with sums in float32, their fractions cut off.

    It returns whether one of them is no further than ``error`` from an integer.
    """

    @intrinsic
    def tile(typingctx, out, at, lines, first, step, weights, middle, error):  # type: ignore[no-untyped-def] # pragma: no cover
        whole = types.intp
        signature = types.boolean(out, whole, lines, whole, whole, weights, whole, types.float32)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            writer = _Tile(context, builder, signature, arguments, joined)
            sums = writer.sums()
            writer.store([writer.cut(values) for values in sums])
            return writer.near(sums, arguments[7])

        return signature, generate

    return tile


def _everywhere(builder: Any, value: Any, vector: Any) -> Any:
    """Return a vector of one value."""
    empty = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(empty, value, _SHORT_INT(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(_SHORT_INT, vector.count), None))


def _place(builder: Any, array: Any, at: Any, vector: Any) -> Any:
    """Return where a vector lies in an array."""
    return builder.bitcast(builder.gep(array, [at]), vector.as_pointer())


class _Tile:
    """Writes the instructions of one tile."""

    def __init__(
        self, context: Any, builder: Any, signature: Any, arguments: Any, joined: str | None
    ) -> None:
        out, _, lines, _, _, weights, *_ = signature.args
        self.builder, self.joined = builder, joined

        def start(kind: Any, array: Any) -> Any:
            return context.make_array(kind)(context, builder, array).data

        self.out = builder.gep(start(out, arguments[0]), [arguments[1]])
        self.lines = builder.gep(start(lines, arguments[2]), [arguments[3]])
        self.weights = start(weights, arguments[5])
        self.step, self.middle = arguments[4], arguments[6]
        kinds = (context.get_data_type(each.dtype) for each in (out, lines, weights))
        self.of_out, self.of_line, self.of_sum = kinds
        sizes = (each.dtype.bitwidth // 8 for each in (out, lines, weights))
        self.out_bytes, self.line_bytes, self.sum_bytes = sizes
        self.width = _VECTOR // self.sum_bytes
        self.flags = () if self.sum_bytes == 8 else ("contract",)

    def sums(self) -> list[Any]:
        """Return the sums of the tile, as vectors."""
        builder, vector, nothing = self.builder, ir.VectorType(self.of_sum, self.width), _INT(0)
        weight = self.weight(self.middle)
        begun = [builder.fmul(line, weight) for line in self.load(self.middle)]
        before = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("weights", "summed"))
        builder.cbranch(builder.icmp_signed(">", self.middle, nothing), loop, done)
        builder.position_at_end(loop)
        k, sums = builder.phi(_INT), [builder.phi(vector) for _ in begun]
        added = self.added(k, sums)
        after = builder.add(k, _INT(1))
        for phi, first, following in zip((k, *sums), (nothing, *begun), (after, *added), strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", after, self.middle), loop, done)
        builder.position_at_end(done)
        ends = [builder.phi(vector) for _ in begun]
        for phi, first, following in zip(ends, begun, added, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(following, loop)
        return ends

    def added(self, k: Any, sums: list[Any]) -> list[Any]:
        """Add what weight k stands for."""
        builder, weight, lines = self.builder, self.weight(k), self.load(k)
        if self.joined is not None:
            other = self.load(builder.sub(builder.mul(self.middle, _INT(2)), k))
            join = getattr(builder, self.joined)
            lines = [join(low, high) for low, high in zip(lines, other, strict=True)]
        products = [builder.fmul(line, weight, flags=self.flags) for line in lines]
        return [builder.fadd(a, b, flags=self.flags) for a, b in zip(sums, products, strict=True)]

    def weight(self, k: Any) -> Any:
        """Return weight k in every place of a vector."""
        return self.everywhere(self.builder.load(self.builder.gep(self.weights, [k])))

    def everywhere(self, value: Any) -> Any:
        """Return a vector of one value."""
        return _everywhere(self.builder, value, ir.VectorType(self.of_sum, self.width))

    def load(self, k: Any) -> list[Any]:
        """Return the line of weight k, as vectors of what sums are."""
        builder, vector = self.builder, ir.VectorType(self.of_line, self.width)
        start, found = builder.gep(self.lines, [builder.mul(k, self.step)]), []
        for place in range(0, TILE, self.width):
            line = builder.load(_place(builder, start, _INT(place), vector), align=self.line_bytes)
            wide = self.line_bytes < self.sum_bytes
            found.append(builder.fpext(line, ir.VectorType(self.of_sum, self.width)) if wide else line)
        return found

    def cut(self, values: Any) -> Any:
        """Return values as integers of the result, by way of 32 bits as C does."""
        whole = self.builder.fptosi(values, ir.VectorType(_SHORT_INT, self.width))
        return self.builder.trunc(whole, ir.VectorType(self.of_out, self.width))

    def near(self, sums: list[Any], error: Any) -> Any:
        """Return whether one of the sums is near an integer."""
        builder, vector = self.builder, ir.VectorType(self.of_sum, self.width)
        name = f".v{self.width}f{8 * self.sum_bytes}"
        rint, fabs = (
            get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), f"llvm.{each}{name}")
            for each in ("rint", "fabs")
        )
        limit, found = self.everywhere(error), None
        for values in sums:
            off = builder.call(fabs, [builder.fsub(values, builder.call(rint, [values]))])
            closer = builder.fcmp_ordered("<=", off, limit)
            found = closer if found is None else builder.or_(found, closer)
        bits = ir.IntType(self.width)
        return builder.icmp_unsigned("!=", builder.bitcast(found, bits), bits(0))

    def store(self, values: list[Any]) -> None:
        """Write vectors where they belong."""
        vector = ir.VectorType(self.of_out, self.width)
        for number, each in enumerate(values):
            at = _place(self.builder, self.out, _INT(number * self.width), vector)
            self.builder.store(each, at, align=self.out_bytes)


def _threes(typingctx, out, at, values, a, b, c, outer, centre, sign):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill one tile with ``b * centre + (a + c * sign) * outer``.

    Integers are of the dtype of the result all the way, modulo its range; floats are float64 between.
    """
    whole, of = types.intp, types.float64 if isinstance(out.dtype, types.Float) else types.int64
    signature = types.void(out, whole, values, whole, whole, whole, of, of, of)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        _Threes(context, builder, signature, arguments).fill()
        return context.get_dummy_value()

    return signature, generate


#: As numba calls it: without the first argument.
threes: Any = intrinsic(_threes)


class _Threes:
    """Writes the instructions of one tile of windows of three."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder, self.dtype = builder, signature.args[0].dtype
        kind = context.get_data_type(self.dtype)
        self.floats, self.bytes = isinstance(self.dtype, types.Float), self.dtype.bitwidth // 8
        self.width = _VECTOR // (8 if self.floats else self.bytes)
        self.stored = ir.VectorType(kind, self.width)
        self.vector = ir.VectorType(ir.DoubleType(), self.width) if self.floats else self.stored
        self.arrays = [
            context.make_array(kind)(context, builder, array).data
            for kind, array in zip(signature.args[:3:2], arguments[:3:2], strict=True)
        ]
        self.at, self.places, self.factors = arguments[1], arguments[3:6], arguments[6:]

    def fill(self) -> None:
        """Write the tile."""
        builder = self.builder
        add, multiply = (builder.fadd, builder.fmul) if self.floats else (builder.add, builder.mul)
        outer, centre, sign = (self.everywhere(each) for each in self.factors)
        for k in range(0, TILE, self.width):
            a, b, c = (self.load(place, k) for place in self.places)
            both = multiply(add(a, multiply(c, sign)), outer)
            self.store(add(multiply(b, centre), both), k)

    def everywhere(self, value: Any) -> Any:
        """Return a vector of one value, an integer cut to the dtype of the result."""
        one = value if self.floats else self.builder.trunc(value, self.stored.element)
        return _everywhere(self.builder, one, self.vector)

    def place(self, array: Any, at: Any, k: int) -> Any:
        """Return where a vector lies."""
        return _place(self.builder, array, self.builder.add(at, _INT(k)), self.stored)

    def load(self, at: Any, k: int) -> Any:
        """Return a vector of what is summed."""
        line = self.builder.load(self.place(self.arrays[1], at, k), align=self.bytes)
        return self.builder.fpext(line, self.vector) if self.floats and self.bytes < 8 else line

    def store(self, values: Any, k: int) -> None:
        """Write a vector."""
        narrow = self.floats and self.bytes < 8
        values = self.builder.fptrunc(values, self.stored) if narrow else values
        self.builder.store(values, self.place(self.arrays[0], self.at, k), align=self.bytes)


pairs, differences, in_order = _summing("fadd"), _summing("fsub"), _summing(None)
cut_pairs, cut_differences, cut_in_order = _cutting("fadd"), _cutting("fsub"), _cutting(None)
