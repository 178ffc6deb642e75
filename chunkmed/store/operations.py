"""Who watches what the store changes: tests can kill the process, or make an operation fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Watcher", "operation", "watch"]

#: Called with ("before" or "after", operation, path).
Watcher = Callable[[str, str, Any], None]
_watchers: list[Watcher] = []


@contextmanager
def watch(watcher: Watcher) -> Iterator[None]:
    """Call a function before and after every operation."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@contextmanager
def operation(name: str, path: Any) -> Iterator[None]:
    """Tell the watchers before and after an operation on a file or object."""
    for watcher in _watchers:
        watcher("before", name, path)
    yield
    for watcher in _watchers:
        watcher("after", name, path)
