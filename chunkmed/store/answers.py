"""What an object store answers: asked again while it may yet answer well, else an error that says so.

Never is a failed answer taken for "not there": only a 404 is.
"""

from __future__ import annotations

import errno
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from chunkmed.errors import StoreError

__all__ = ["NO_ANSWER", "ShortBodyError", "answered"]

T = TypeVar("T")

#: Kinds of errors that say nothing about what is stored.
NO_ANSWER = ("no-access", "no-answer")
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.1, 5.0
#: 4xx but 408 (timeout), 409 (another conditional write is under way) and 429 (too many requests).
_FINAL = re.compile(r"status code: (?!408|409|429)[34]\d\d")
_ABSENT = "status code: 404"
_ACCESS = ("PermissionDeniedError", "UnauthenticatedError")


class ShortBodyError(Exception):
    """Fewer bytes came than the store had announced."""


def answered(call: Callable[[], T], where: str, retries: int) -> T:
    """Return what a call to an object store gives; ask again after errors that may pass.

    Parameters
    ----------
    call : function
        One request: it may be sent more than once.
    where : str
        URL, for messages.
    retries : int
        How often it is asked again after 5xx, timeouts, resets and short bodies; the waits double
        from 0.1 s to 5 s.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    StoreError
        ``no-access`` (401, 403) at once, ``no-answer`` when all retries are used up.
    """
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    for attempt in range(retries + 1):
        try:
            return call()
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, "no such object", where) from error
        except (AlreadyExistsError, PreconditionError):
            # An answer: whoever made the write conditional knows what to do.
            raise
        except (BaseError, OSError, ShortBodyError) as error:
            if type(error).__name__ in _ACCESS:
                raise _no_access(where, error) from error
            if _ABSENT in str(error):
                # Where a bucket is missing.
                raise FileNotFoundError(errno.ENOENT, "no such bucket", where) from error
            if attempt == retries or _FINAL.search(str(error)):
                raise _no_answer(where, error, attempt + 1) from error
        time.sleep(_delay_s(attempt))
    raise AssertionError("the last attempt returns or raises")


def _delay_s(attempt: int) -> float:
    # Of many workers that were turned away together, not all come back together.
    return float(min(_FIRST_DELAY_S * 2**attempt, _LONGEST_DELAY_S) * random.uniform(0.5, 1.0))  # noqa: S311


def _no_access(where: str, error: Exception) -> StoreError:
    return StoreError(
        "the object store refuses access",
        kind="no-access",
        where=where,
        why=_said(error),
        kept="nothing was changed by this request",
        fix="check credentials, region and bucket: environment variables (AWS_ACCESS_KEY_ID, ...) or "
        "config(storage_options=...) (--storage-option KEY=VALUE)",
    )


def _no_answer(where: str, error: Exception, attempts: int) -> StoreError:
    times = "once" if attempts == 1 else f"{attempts} times"
    return StoreError(
        "the object store does not answer",
        kind="no-answer",
        where=where,
        why=f"asked {times}, the last time: {_said(error)}",
        kept="what is finished is kept",
        fix="check endpoint and network, then repeat the same call: it goes on from there",
    )


def _said(error: Exception) -> str:
    """Return the cause as a sentence: the library adds its own structures, and the URL of the request."""
    first = str(error).split("\n\nDebug source")[0]
    return " ".join(re.sub(r"<\?xml.*", "", first, flags=re.DOTALL).split())[:300].rstrip(" :")
