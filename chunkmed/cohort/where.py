"""Conditions over the columns of a cohort: ``modality == 'CT' and n_slices > 100 and not localizer``.

An allow-list of syntax is walked; nothing is ever handed to ``eval``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from chunkmed.errors import InputError
from chunkmed.names import nearest

__all__ = ["Condition", "columns_of", "condition"]

Row = Mapping[str, Any]
Part = Callable[[Row], Any]
Condition = Callable[[Row], bool]

_MOST_CHARACTERS = 2000
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


def condition(text: str, columns: Collection[str]) -> Condition:
    """Return the function of a row that a condition stands for.

    Parameters
    ----------
    text : str
        Names of columns, numbers, texts, lists of them, ``and or not``, comparisons, ``in``, ``+ - * /``.
    columns : collection of str
        The names that there are. What a row does not know (None) is equal to nothing but None, and
        neither smaller nor larger than anything.

    Raises
    ------
    InputError
        ``bad-where`` if it is anything else.

    Examples
    --------
    >>> wanted = condition("modality in ['CT', 'PT'] and n_slices > 100", ["modality", "n_slices"])
    >>> wanted({"modality": "CT", "n_slices": 120}), wanted({"modality": "CT", "n_slices": None})
    (True, False)
    """
    if len(text) > _MOST_CHARACTERS:
        raise _bad(text[:40] + "...", f"longer than {_MOST_CHARACTERS} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        part = _Reader(text, columns).read(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise _bad(text, getattr(error, "msg", None) or type(error).__name__) from error
    return lambda row: _truth(part, row, text)


def columns_of(text: str) -> list[str]:
    """Return the columns that a condition asks for, in its order.

    Examples
    --------
    >>> columns_of("modality == 'CT' and n_slices > 100")
    ['modality', 'n_slices']
    """
    nodes = ast.walk(ast.parse(text.strip(), mode="eval"))
    found = [(node.col_offset, node.id) for node in nodes if isinstance(node, ast.Name)]
    return list(dict.fromkeys(name for _, name in sorted(found)))


def _truth(part: Part, row: Row, text: str) -> bool:
    try:
        return bool(part(row))
    except (TypeError, ZeroDivisionError, OverflowError) as error:
        raise _bad(text, str(error)) from error


class _Reader:
    """Turns one kind of syntax after the other into a function of a row."""

    def __init__(self, text: str, columns: Collection[str]) -> None:
        self.text, self.columns = text, columns

    def read(self, node: ast.expr) -> Part:
        reader: Callable[[Any], Part] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if reader is None:
            raise _bad(self.text, f"{ast.unparse(node)!r} is no comparison of columns")
        return reader(node)

    def _name(self, node: ast.Name) -> Part:
        name = node.id
        if name not in self.columns:
            fix = nearest(name, self.columns)
            raise InputError(f"there is no column {name!r}", kind="bad-where", where=self.text, fix=fix)
        return lambda row: row.get(name)

    def _constant(self, node: ast.Constant) -> Part:
        value = node.value
        if not isinstance(value, str | int | float | None):
            raise _bad(self.text, f"{value!r} is neither number nor text")
        return lambda _: value

    def _list(self, node: ast.List | ast.Tuple) -> Part:
        parts = [self.read(item) for item in node.elts]
        return lambda row: [part(row) for part in parts]

    _tuple = _list

    def _boolop(self, node: ast.BoolOp) -> Part:
        parts = [self.read(value) for value in node.values]
        decide = all if isinstance(node.op, ast.And) else any
        return lambda row: decide(part(row) for part in parts)

    def _unaryop(self, node: ast.UnaryOp) -> Part:
        part = self.read(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda row: not part(row)
        if isinstance(node.op, ast.USub):
            return lambda row: -_number(part(row))
        raise _bad(self.text, f"{ast.unparse(node)!r} is not understood")

    def _binop(self, node: ast.BinOp) -> Part:
        if type(node.op) not in _ARITHMETIC:
            raise _bad(self.text, f"{ast.unparse(node)!r}: only + - * / are understood")
        act, left, right = _ARITHMETIC[type(node.op)], self.read(node.left), self.read(node.right)

        def part(row: Row) -> Any:
            a, b = left(row), right(row)
            # Never of texts: "x" * 10**9 fills the memory.
            return None if a is None or b is None else act(_number(a), _number(b))

        return part

    def _compare(self, node: ast.Compare) -> Part:
        parts = [self.read(value) for value in (node.left, *node.comparators)]
        tests = [_COMPARISONS.get(type(op)) for op in node.ops]
        if None in tests:
            raise _bad(self.text, "compare by == != < <= > >= in, not in")

        def part(row: Row) -> bool:
            values = [each(row) for each in parts]
            pairs = zip(values, tests, values[1:], strict=False)
            return all(_compared(a, test, b) for a, test, b in pairs)

        return part


def _compared(a: Any, test: Any, b: Any) -> bool:
    if (a is None or b is None) and test not in (operator.eq, operator.ne):
        return False if not isinstance(b, list | str) else bool(a is not None and test(a, b))
    return bool(test(a, b))


def _number(value: Any) -> Any:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value


def _bad(text: str, why: str) -> InputError:
    return InputError(
        "the condition is not understood",
        kind="bad-where",
        where=text,
        why=why,
        fix="write it like modality == 'CT' and n_slices > 100",
    )
