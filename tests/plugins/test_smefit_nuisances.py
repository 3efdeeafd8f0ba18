"""A dataset with nuisance parameters as external chi2 of SMEFiT: its profile, in numpy and traced by jax."""

from __future__ import annotations

import logging
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize

from plugins.smefit import unbinned
from plugins.smefit.runcard import with_unbinned
from smeft_unbinned import InputError, Likelihood, PoissonDataset
from smeft_unbinned.events import Nuisances

POINT = np.array([0.1, 0.0, -0.2])


@pytest.fixture
def dataset(make_ratios, tmp_path: Path) -> PoissonDataset:
    rng = np.random.default_rng(1)
    response = Nuisances(("scale", "lumi"), rng.normal(0, 0.1, (6, 2)), rng.normal(0, 0.02, (6, 2)))
    yields = make_ratios(1, 6, ("OpB", "OpW")).dense() * 30.0
    made = PoissonDataset("counts", yields, rng.poisson(35.0, 6), basis="smefit", response=response)
    made.save(tmp_path / "counts.dataset")
    return made


def build(folder: Path, **keys: int) -> unbinned.UnbinnedChi2:
    manager = SimpleNamespace(name=np.array(["OpB", "OpBox", "OpW"]))
    return unbinned.UnbinnedChi2(manager, file=str(folder / "counts.dataset"), **keys)


def test_the_value_is_the_profile(
    dataset: PoissonDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    with caplog.at_level(logging.INFO):
        chi2 = build(tmp_path)
    assert "minimised over its nuisances scale, lumi, with unit constraints; they are not corr" in caplog.text

    def lowest(c: np.ndarray) -> float:
        joint = minimize(lambda t: float(dataset.m2logl(np.concatenate([c, t]))) + t @ t, [0, 0], tol=1e-12)
        return float(joint.fun)

    expected = lowest(POINT[[0, 2]]) - lowest(np.zeros(2))
    assert float(chi2.compute_chi2(POINT)) == pytest.approx(expected, rel=1e-7)
    assert float(chi2.compute_chi2(0 * POINT)) == pytest.approx(0.0, abs=1e-12)
    again = pickle.loads(pickle.dumps(chi2))
    assert float(again.compute_chi2(POINT)) == float(chi2.compute_chi2(POINT))


@pytest.mark.parametrize("keys", [{}, {"inline": 0}])
def test_jax_traces_the_profile(
    keys: dict[str, int],
    dataset: PoissonDataset,
    tmp_path: Path,
    x64: None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import jax

    chi2 = build(tmp_path, **keys)
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
