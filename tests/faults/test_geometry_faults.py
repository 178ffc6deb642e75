"""Mutated geometry is refused, warned of, harmless, or in the list of what no header shows."""

import pytest
from faults import geometry


def test_mutated_series_are_found_or_harmless():
    counts, faults = geometry.campaign(range(geometry.SHORT))
    assert faults == []
    assert counts["refused"] > geometry.SHORT // 2 and counts["harmless"] > geometry.SHORT // 10
    # What cannot be seen stays the smaller part, and has a reason.
    assert counts["undecidable"] < geometry.SHORT // 5
    listed = {name.strip() for name in counts if name.startswith(" ")}
    assert listed <= set(geometry.UNDECIDABLE)


@pytest.mark.parametrize("seed", range(12))
def test_good_series_come_out_as_the_truth(tmp_path, seed):
    """The oracle itself: what was not touched is neither refused nor warned of."""
    good, case = geometry.mutated(seed)
    case.slices[:], case.done[:] = [dict(tags) for tags in good.slices], []
    assert geometry.judgement(tmp_path, good, case).outcome == "harmless"
