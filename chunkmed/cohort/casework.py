"""One case, in a process for itself: image -> recipe or function -> results, whole or absent."""

from __future__ import annotations

import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import xarray as xr

from chunkmed import dicom, images, provenance, store
from chunkmed.cluster import joined
from chunkmed.cohort.cases import Spec
from chunkmed.cohort.looking import store_token
from chunkmed.cohort.outcomes import Outcome, partial_folder, publish, publish_failure
from chunkmed.cohort.work import Work
from chunkmed.dicom import Choices
from chunkmed.errors import ChunkmedError, InputError, SourceError, StoreError
from chunkmed.graph.budget import config, peak_bytes
from chunkmed.graph.scratch import scratch_below
from chunkmed.job import run_job, split_label
from chunkmed.recipe import Recipe
from chunkmed.report import write_json, write_table

__all__ = ["Request", "Spread", "run_case"]

TOKEN = "token"  # noqa: S105 - of inputs
#: A child may take the limit; what it plans with leaves room for what no plan knows.
_PLANNED_SHARE = 0.9
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Spread:
    """A case whose tasks run on all workers of a cluster: it is too large for one of them."""

    memory: int
    """What tasks may take of each worker."""
    scratch: str
    """Folder that all workers see."""
    member: dict[str, Any] | None = None
    """How its process joins the cluster: only a worker knows."""


@dataclass(frozen=True)
class Request:
    """A case and what it may take: what goes to the process that works on it."""

    out: str
    spec: Spec
    work: Work
    memory: int
    workers: int
    attempt: int = 1
    spread: Spread | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Request:
        """Return it from plain values."""
        spec, work = Spec.of(dict(values["spec"])), Work(**values["work"])
        spread = values.get("spread")
        limits = values["memory"], values["workers"], values["attempt"]
        return cls(values["out"], spec, work, *limits, Spread(**spread) if spread else None)

    @property
    def about(self) -> dict[str, Any]:
        """What every outcome of this request says."""
        return {
            "case": self.spec.case,
            "case_id": self.spec.case_id,
            "token": self.spec.token,
            "attempts": self.attempt,
            "memory_bytes": self.memory,
            "workers": self.workers,
        }


def run_case(request: Request, log_to: Callable[[Path], None]) -> Outcome:
    """Work on a case and put its folder in place; errors are outcomes.

    Parameters
    ----------
    request : Request
        The case.
    log_to : callable
        Sends what is printed from now on to a file.
    """
    out, started = Path(request.out), time.monotonic()
    made = partial_folder(out, request.spec.case)
    _reset_peak()
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        with _lock(made), _budget(request):
            _prepare(request, made)
            log_to(made / "log.txt")
            outcome = _done(request, made)
            outcome.seconds, outcome.peak_bytes = time.monotonic() - started, peak_bytes()
            publish(out, outcome, made)
    except (KeyboardInterrupt, Exception) as error:
        if not isinstance(error, ChunkmedError):
            traceback.print_exc()
        outcome = Outcome.of_error(error, **request.about)
        outcome.message = _without_paths(outcome.message, request)
        outcome.seconds, outcome.peak_bytes = time.monotonic() - started, peak_bytes()
        print(outcome.message, flush=True)  # noqa: T201 - to the log of the case
        own = made if outcome.kind != "locked" else None
        with suppress(OSError):
            publish_failure(out, outcome, made / "log.txt", own)
        if own is not None:
            # Where the record could not be written.
            shutil.rmtree(own, ignore_errors=True)
    return outcome


@contextmanager
def _budget(request: Request) -> Iterator[None]:
    """Plan with what the case may take, of this process or of all workers of a cluster."""
    spread = request.spread
    with ExitStack() as stack:
        if spread is None or spread.member is None:
            stack.enter_context(config(int(request.memory * _PLANNED_SHARE), request.workers))
        else:
            stack.enter_context(scratch_below(spread.scratch))
            stack.enter_context(config(spread.memory))
            stack.enter_context(joined(spread.member))
        yield


def _without_paths(text: str, request: Request) -> str:
    """Return a message that can be shown to others: names of folders may name persons."""
    spec = request.spec
    for path in (request.out, *(path for _, path in spec.labels), spec.source):
        text = text.replace(path, f"[{spec.case_id}]")
    return text


@contextmanager
def _lock(made: Path) -> Iterator[None]:
    """Keep others out; the process of a client that was just killed may take a moment to go."""
    end = time.monotonic() + _PATIENCE_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(store.locked(made))
                break
            except StoreError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield


def _prepare(request: Request, made: Path) -> None:
    """Make the folder for the results, or take it as an earlier try of the same left it."""
    token = made / TOKEN
    try:
        same = token.read_text(encoding="ascii") == request.spec.token
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        token.write_text(request.spec.token, encoding="ascii")


def _done(request: Request, made: Path) -> Outcome:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        source = _source(request)
        if request.work.is_recipe:
            outcome = _of_recipe(request, source, made)
        else:
            outcome = _of_function(request, source, made)
    for path in sorted(made.glob("*.parquet")):
        schema = pq.read_schema(path)
        outcome.tables[path.stem] = [(name, str(schema.field(name).type)) for name in schema.names]
    with suppress(FileNotFoundError):
        (made / TOKEN).unlink()
    return outcome


def _source(request: Request) -> Path | dicom.Stack:
    """Return the store, or the series of a folder: the one that was planned, unchanged."""
    spec, choices = request.spec, Choices(**request.work.choices)
    path = Path(spec.source)
    if spec.form == "store":
        if store_token(path, store.open_image(path).array) != spec.input:
            raise _changed(spec)
        return path
    # A list: the path comes from a folder, and errors do not name it.
    study = dicom.scan([path])
    stack = dicom.certainly_merged(study, None) if choices.merge_series else study.select(spec.series)
    if stack.token != spec.input:
        raise _changed(spec)
    return stack


def _changed(spec: Spec) -> SourceError:
    return SourceError(
        "the input is not what it was when the cohort was planned",
        kind="input-changed",
        where=f"case {spec.case_id}",
        fix="plan the cohort again: results of what did not change are kept",
    )


@cache
def _recipe(text: str, name: str) -> Recipe:
    return Work(name, text).recipe()


def _of_recipe(request: Request, source: Path | dicom.Stack, made: Path) -> Outcome:
    work = request.work
    recipe = _recipe(work.text, work.name).with_parameters(work.parameters)
    settings = dict(work.choices) if not isinstance(source, Path) else {}
    result = run_job(recipe, source, made, labels=dict(request.spec.labels), resume=True, **settings)
    files = sorted({path.name for path in result.files})
    notes = [*result.assumptions, *([result.missing] if result.missing else [])]
    return Outcome(state="done", files=files, summary=dict(result.summary), notes=notes, **request.about)


@cache
def _function(work: str, code: str, pickled: str) -> Any:
    return Work(work, code=code, pickled=pickled).function()


def _of_function(request: Request, source: Path | dicom.Stack, made: Path) -> Outcome:
    work = request.work
    image = images.open(source, **work.choices) if not isinstance(source, Path) else images.open(source)
    given = {step: images.open_labels(*split_label(path), like=image) for step, path in request.spec.labels}
    table = _function(work.name, work.code, work.pickled)(image, **given)
    if not isinstance(table, xr.Dataset):
        raise InputError(
            f"the function returned {type(table).__name__}",
            kind="bad-result",
            where=work.name,
            fix="return an xarray.Dataset",
        )
    paths = write_table(table, made / "table")
    told = {"function": work.name, "code": work.code, "versions": provenance.versions()}
    about = write_json(made / "provenance.json", told)
    return Outcome(state="done", files=sorted(path.name for path in (*paths, about)), **request.about)


def _reset_peak() -> None:
    """Forget the peak of the cases before, where the system lets us."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
