"""The plugin that lets pytest run scipy's test files with a stand-in for ``ndimage``."""

from __future__ import annotations

import importlib.util
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy
import scipy.ndimage
from parity.scipys_exceptions import reason_of
from parity.scipys_proxy import Calls, stand_in
from scipy._lib import _array_api

__all__ = ["Suite"]

_MARKS = ("skip_xp_backends", "xfail_xp_backends", "filterwarnings", "thread_unsafe", "xslow", "slow")


class _Module(pytest.Module):
    """One file of scipy's, with the stand-in as its ``ndimage``."""

    def _getobj(self) -> ModuleType:
        suite = next(p for p in self.config.pluginmanager.get_plugins() if isinstance(p, Suite))
        return suite.load(self.path)


class Suite:
    """Plugin of pytest: loads scipy's files, picks tests and keeps what came out."""

    def __init__(self, sets: int, without: Sequence[str] = ()) -> None:
        self.sets, self.without, self.calls = sets, without, Calls()
        self.module = stand_in(self.calls)
        self.collected = self.excepted = 0
        self.results: dict[str, dict[str, Any]] = {}
        self.broken: list[str] = []

    def load(self, path: Path) -> ModuleType:
        """Return a file of scipy's as a module of another name."""
        name = f"scipy.ndimage.tests.chunked_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with _in_place(self.module):
            spec.loader.exec_module(module)
        return module

    @pytest.fixture
    def xp(self) -> Any:
        """The array library of scipy's tests: NumPy."""
        return _array_api.array_namespace(np.empty(0))

    @pytest.fixture
    def num_parallel_threads(self) -> int:
        return 1

    def pytest_configure(self, config: pytest.Config) -> None:
        for mark in _MARKS:
            config.addinivalue_line("markers", f"{mark}: scipy's")

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        return _Module.from_parent(parent, path=module_path)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(f"{report.nodeid}: {report.longreprtext[-500:]}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        names = [_name(item.nodeid) for item in items]
        self.collected, self.excepted = len(items), sum(reason_of(name) is not None for name in names)
        if not self.sets:
            return
        tests: dict[str, list[pytest.Item]] = defaultdict(list)
        for name, item in zip(names, items, strict=True):
            if (test := name.partition("[")[0]) not in self.without:
                tests[test].append(item)
        chosen = {
            item.nodeid
            for test, group in tests.items()
            for item in random.Random(test).sample(group, min(self.sets, len(group)))
        }
        items[:] = [item for item in items if item.nodeid in chosen]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.get_closest_marker("xslow") is not None:
            pytest.skip("very slow")
        self.calls.begin(_name(item.nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name, outcome, message = _name(report.nodeid), report.outcome, ""
        if report.when != "call" and outcome == "passed":
            return
        if outcome != "passed":
            crash = getattr(report.longrepr, "reprcrash", None)
            message = crash.message if crash is not None else str(report.longrepr)
        if outcome == "skipped" and "not there yet: " in message:
            outcome = "not there yet"
        if (reason := reason_of(name)) is not None and outcome != "not there yet":
            outcome, message = "excepted", f"{outcome} - {reason}"
        calls, seconds = list(dict.fromkeys(self.calls.names)), round(report.duration, 3)
        self.results[name] = {
            "outcome": outcome,
            "message": message[:2000],
            "calls": calls,
            "seconds": seconds,
        }

    def _slowest(self) -> list[tuple[dict[str, Any], str]]:
        pairs = ((result, name) for name, result in self.results.items())
        return sorted(pairs, key=lambda pair: -pair[0]["seconds"])[:15]

    def report(self) -> dict[str, Any]:
        """Return numbers and every test that did not pass."""
        counts = Counter(result["outcome"] for result in self.results.values())
        judged = counts["passed"] + counts["failed"]
        return {
            "scipy": scipy.__version__,
            "collected": self.collected,
            "excepted of collected": self.excepted,
            "run": len(self.results),
            **{key: counts[key] for key in ("passed", "failed", "excepted", "not there yet", "skipped")},
            "share": counts["passed"] / judged if judged else 0.0,
            "calls": self.calls.counted,
            "calls with reads checked": self.calls.checked,
            "broken files": self.broken,
            "slowest": [(r["seconds"], name) for r, name in self._slowest()],
            "tests": {name: r for name, r in sorted(self.results.items()) if r["outcome"] != "passed"},
        }


def _name(nodeid: str) -> str:
    """Return the name of a test without the folder of its file."""
    path, _, test = nodeid.partition("::")
    return f"{Path(path).name}::{test}"


@contextmanager
def _in_place(module: ModuleType) -> Iterator[None]:
    """Let ``from scipy import ndimage`` and ``import scipy.ndimage as ndimage`` give a stand-in."""
    original, table = scipy.ndimage, _array_api.xp_capabilities_table
    added = {
        getattr(module, name): table[function]
        for name in original.__all__
        if (function := getattr(original, name)) in table
    }
    table.update(added)
    scipy.ndimage = module
    try:
        yield
    finally:
        scipy.ndimage = original
