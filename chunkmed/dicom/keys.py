"""Ordering tags of a frame in little room: a scan may hold 100,000 frames at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

__all__ = ["Keys"]

_MOST_SHARED = 2**16
_places: dict[tuple[str, ...], dict[str, int]] = {}
_shared: dict[Hashable, Any] = {}


class Keys(Mapping[str, Any]):
    """A small mapping: names are shared by all frames that have the same, and so are equal values.

    >>> Keys({"EchoTime": 5.0}).get("EchoTime"), Keys({}).get("EchoTime")
    (5.0, None)
    """

    __slots__ = ("_place", "_values")

    def __init__(self, found: Mapping[str, Any]) -> None:
        names = tuple(found)
        place = _places.get(names)
        if place is None:
            # Threads may get two equal ones: that costs room, no more.
            place = _places.setdefault(names, {name: i for i, name in enumerate(names)})
        self._place = place
        self._values = tuple(map(_one_for_all, found.values()))

    def __getitem__(self, name: str) -> Any:
        return self._values[self._place[name]]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or a default."""
        place = self._place.get(name)
        return default if place is None else self._values[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))


def _one_for_all(value: Any) -> Any:
    if len(_shared) >= _MOST_SHARED:
        _shared.clear()
    # 1 and 1.0 are equal, and not the same.
    return _shared.setdefault((type(value), value), value)
