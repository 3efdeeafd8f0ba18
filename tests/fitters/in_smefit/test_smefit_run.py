"""The contract of adapters, values and a short run inside SMEFiT; its other modes are in tests/smefit_env."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from fitter_runs import BOUND, assert_agrees, ours, problem

from plugins.smefit import FITTER
from plugins.smefit.runcard import MODULE
from smeft_unbinned import InputError, UnbinnedDataset
from smeft_unbinned.testing import BASIS, CHECKS, Adapter, Check, toy_dataset

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")
    import jax
    import smefit.cli  # noqa: F401 (switches jax to float64, as the command does)
    from smefit import log
    from smefit.optimize.ultranest import USOptimizer
    from smefit.runner import Runner

pytestmark = pytest.mark.filterwarnings("ignore")
FREE = {"min": -BOUND, "max": BOUND}


def card(folder: Path, dataset: UnbinnedDataset, names: Sequence[str], **keys: Any) -> dict[str, Any]:
    """Write a dataset and return the card of a fit of it alone; keys: of its entry."""
    dataset.save(folder / "toy.dataset")
    return {
        "coefficients": {name: dict(FREE) for name in names},
        "external_chi2": {"toy": {"path": MODULE, "file": str(folder / "toy.dataset"), **keys}},
        "result_path": str(folder),
        "result_ID": "toy",
        "use_quad": True,
    }


class InSmefit:
    """-2 log L and its gradient by SMEFiT's compiled log-likelihood, which has its coefficients sorted."""

    def __init__(self, dataset: UnbinnedDataset, names: Sequence[str], **keys: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.optimizer = USOptimizer.from_dict(card(Path(folder), dataset, names, **keys))
            self.order = [list(names).index(n) for n in self.optimizer.free_parameters.index]

    def m2logl(self, values: np.ndarray) -> np.ndarray:
        inner = values[..., self.order]
        function = self.optimizer.gaussian_loglikelihood
        for _ in inner.shape[:-1]:
            function = jax.vmap(function)
        return -2.0 * np.asarray(function(inner))

    def gradient(self, values: np.ndarray) -> np.ndarray:
        slope = jax.grad(self.optimizer.gaussian_loglikelihood)(jax.numpy.asarray(values[self.order]))
        return -2.0 * np.asarray(slope)[np.argsort(self.order)]


@pytest.mark.parametrize("inline", [2**27, 0], ids=["compiled", "called"])
@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check, inline: int) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        term = InSmefit(dataset, names, inline=inline)
        return Adapter(term.m2logl, gradient=term.gradient, batch=True)

    check(make)


def test_values_at_random_points() -> None:
    dataset = toy_dataset(("cHW", "cHq3", "cHu"), "warsaw", events=500)
    inner = dataset.in_basis("smefit")
    names = (*inner.operators, "OtG")
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, len(names)))
    expected = inner.m2logl(points[:, :-1])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(InSmefit(dataset, names).m2logl(points), expected, rtol=0, atol=1e-10 * scale)


def test_a_run_agrees_with_ours(tmp_path: Path) -> None:
    dataset = problem(("OpW", "O3pq"), BASIS)
    content = {**card(tmp_path, dataset, dataset.operators), "nlive": 400, "frac_remain": 0.01}
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    np.random.seed(1)  # noqa: NPY002 (ultranest draws from there)
    log.setup_console(None)
    Runner.from_file(path).run_analysis("NS")
    result = json.loads((tmp_path / "toy/fit_results.json").read_text(encoding="utf-8"))
    assert_agrees(pd.DataFrame(result["samples"]), ours(dataset))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"fil": "x"}, r"unknown key 'fil'\. Did you mean 'file'"),
        ({"file": "none.dataset"}, "no such file: none.dataset"),
        ({"scale": -5.0}, "scale must be a positive number of GeV, got -5.0"),
    ],
)
def test_bad_entries(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        USOptimizer.from_dict(card(tmp_path, toy_dataset(), ("OpW",), **keys))


def test_running_to_an_unknown_scale_is_refused(tmp_path: Path) -> None:
    content = card(tmp_path, toy_dataset().replace(metadata={}), ("OpW",))
    with pytest.raises(InputError, match="dataset toy has no scale; give the key scale"):
        USOptimizer.from_dict({**content, "rge": {"init_scale": 1000.0}})


def test_the_version_is_one_that_works() -> None:
    FITTER.require()
    assert FITTER.works
