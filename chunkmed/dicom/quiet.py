"""Keep what pydicom says of odd values to itself: it quotes them, in warnings and in the log."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.config import disable_value_validation

__all__ = ["quiet"]

_LOGGER = logging.getLogger("pydicom")


def _never(_: logging.LogRecord) -> bool:
    return False


@contextmanager
def quiet() -> Iterator[None]:
    """Let pydicom neither warn nor log; what matters is said by the stacks."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        _LOGGER.addFilter(_never)
        try:
            yield
        finally:
            _LOGGER.removeFilter(_never)
