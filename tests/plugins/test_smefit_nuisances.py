"""A dataset with nuisance parameters as external chi2 of SMEFiT: its profile, in numpy and traced by jax."""

from __future__ import annotations

import logging
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from nuisance_double import Counting, counting

from plugins.smefit import unbinned
from plugins.smefit.runcard import with_unbinned
from smeft_unbinned import InputError, Likelihood

POINT = np.array([0.1, 0.0, -0.2])


class Sized(Counting):
    """The double with what the adapter asks of a file."""

    metadata: ClassVar[dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self.counts)


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = counting(1, ("OpB", "OpW"), ("scale", "lumi"), "counts")
    made.basis, made.__class__ = "smefit", Sized
    monkeypatch.setattr(unbinned, "load_dataset", lambda file: made)
    return made


def build() -> unbinned.UnbinnedChi2:
    return unbinned.UnbinnedChi2(SimpleNamespace(name=np.array(["OpB", "OpBox", "OpW"])), file="x")


def test_the_value_is_the_profile(
    dataset: Counting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    with caplog.at_level(logging.INFO):
        chi2 = build()
    assert "minimised over its nuisances scale, lumi, with unit constraints; SMEFiT cannot" in caplog.text
    profiled = Likelihood([dataset]).profiled()
    expected = float(profiled.m2logl({"OpB": 0.1, "OpW": -0.2}))
    assert float(chi2.compute_chi2(POINT)) == pytest.approx(expected, rel=1e-12)
    assert float(chi2.compute_chi2(0 * POINT)) == pytest.approx(0.0, abs=1e-12)
    again = pickle.loads(pickle.dumps(chi2))
    assert float(again.compute_chi2(POINT)) == float(chi2.compute_chi2(POINT))


def test_jax_traces_the_profile(
    dataset: Counting, x64: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jax

    chi2 = build()
    many = np.stack([POINT, 3 * POINT, -POINT])
    expected = chi2.compute_chi2(many)
    single = jax.jit(chi2.compute_chi2)
    np.testing.assert_allclose([float(single(p)) for p in many], expected, rtol=1e-10)
    np.testing.assert_allclose(jax.jit(jax.vmap(chi2.compute_chi2))(many), expected, rtol=1e-10)
    slope = jax.jit(jax.grad(chi2.compute_chi2))(jax.numpy.asarray(POINT))
    profiled = Likelihood([dataset]).profiled()
    np.testing.assert_allclose(np.asarray(slope)[[0, 2]], profiled.gradient(POINT[[0, 2]]), rtol=1e-8)
    caplog.clear()
    monkeypatch.setattr("smeft_unbinned.newton.QUASI", 0)
    monkeypatch.setattr("smeft_unbinned.newton.MOST", 1)
    with caplog.at_level(logging.WARNING):
        jax.jit(lambda x: chi2.compute_chi2(x))(POINT).block_until_ready()
        jax.effects_barrier()
    assert "no minimum over the nuisances scale, lumi found at 1 points" in caplog.text


def test_cards_with_a_block_of_nuisances_are_refused(tmp_path: Path) -> None:
    card = {"datasets": [{"name": "h", "poisson": "h.dataset"}], "profile": True, "nuisances": {}}
    assert not {"profile", "nuisances"} & with_unbinned(card, tmp_path).keys()
    with pytest.raises(InputError, match="SMEFiT knows no nuisances"):
        with_unbinned({**card, "nuisances": {"lumi": {"value": 0.0}}}, tmp_path)
