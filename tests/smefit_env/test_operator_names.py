"""Each entry of our table for SMEFiT against SMEFiT's own translation."""

from __future__ import annotations

import warnings

import pytest
from smefit_names import tables

from smeft_unbinned.operators_table import DEFINITIONS, forward

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")


@pytest.mark.filterwarnings("ignore")
def test_every_coefficient_in_terms_of_warsaw_ones() -> None:
    theirs = tables()[1]
    assert set(DEFINITIONS["smefit"]) == set(theirs)
    for name, row in DEFINITIONS["smefit"].items():
        assert row == pytest.approx(theirs[name], rel=1e-14), name


@pytest.mark.filterwarnings("ignore")
def test_every_operator_in_terms_of_warsaw_ones() -> None:
    theirs = tables()[0]
    ours: dict[str, dict[str, float]] = {}
    for entry, row in forward("smefit").items():
        for name, x in row.items():
            ours.setdefault(name, {})[entry] = x
    assert set(ours) == set(theirs)
    for name, row in ours.items():
        assert row == pytest.approx(theirs[name], rel=1e-13), name
