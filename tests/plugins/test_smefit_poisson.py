"""A Poisson dataset as external chi2 of SMEFiT, and in the cards that go there."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.smefit.runcard import MODULE, with_unbinned
from plugins.smefit.unbinned import UnbinnedChi2
from smeft_unbinned import PoissonDataset


def test_value_is_that_of_the_dataset(
    make_ratios, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    yields = make_ratios(2, 6, ("cHW", "cHq1", "cHWtil")).dense() * 20.0
    dataset = PoissonDataset("h", yields, np.arange(15.0, 21.0))
    dataset.save(tmp_path / "h.dataset")
    manager = SimpleNamespace(name=np.array(["OpqMi", "OtG", "OpW"]))
    with caplog.at_level(logging.INFO):
        chi2 = UnbinnedChi2(manager, file=str(tmp_path / "h.dataset"))
    assert "Poisson dataset h, 6 bins: uses the operators" in caplog.text
    assert chi2.term.set_to_zero == ("cHWtil", "O3pq")
    expected = float(dataset.m2logl({"cHW": 0.2, "cHq1": -0.1}))
    assert float(chi2.compute_chi2(np.array([-0.1, 7.0, 0.2]))) == pytest.approx(expected, rel=1e-12)


def test_poisson_entries_become_external_chi2(tmp_path: Path) -> None:
    out = with_unbinned({"datasets": [{"name": "h", "poisson": "h.dataset"}, "B"]}, tmp_path)
    assert out["datasets"] == [{"name": "B"}]
    assert out["external_chi2"] == {"h": {"path": MODULE, "file": str(tmp_path / "h.dataset")}}
