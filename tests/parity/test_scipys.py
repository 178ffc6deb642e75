"""scipy's own tests of scipy.ndimage hold for chunked images: one set of parameters of each test."""

import json

import pytest
from parity.scipys import FILES, run_suite, suite_folder
from parity.scipys_exceptions import LEFT_TO_THE_LONG_RUN

#: Of what was run and is not excepted; the rest is named in the report.
LEAST_SHARE = 0.97
#: Of all tests that scipy has, with all parameters.
MOST_EXCEPTIONS = 0.05


@pytest.mark.skipif(suite_folder() is None, reason="scipy was installed without its tests")
def test_scipys_own_tests(record_property):
    report = run_suite(1, FILES, LEFT_TO_THE_LONG_RUN)
    told = f"{report['passed']} of {report['passed'] + report['failed']} ({report['share']:.1%}) passed"
    more = f"{report['excepted']} excepted, {report['not there yet']} not there yet"
    record_property("scipy's own tests", f"{told}, {more}, of {report['collected']} with all parameters")
    failed = {name: test for name, test in report["tests"].items() if test["outcome"] == "failed"}
    assert not report["broken files"]
    assert report["collected"] > 5000 and report["run"] > 400
    assert report["excepted of collected"] <= MOST_EXCEPTIONS * report["collected"]
    assert report["share"] >= LEAST_SHARE, json.dumps(failed, indent=1)
