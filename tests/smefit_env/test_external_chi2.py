"""The adapter inside the real SMEFiT: its own loading, its optimizer, and its command line end to end."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from smefit_run import BOUNDS, MODULE, assert_posterior, example, results, smefit_command

from plugins.smefit.example.make import toy_dataset
from smeft_unbinned.errors import InputError
from smeft_unbinned.runcard import Runcard

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")
    import smefit.cli  # noqa: F401 (switches jax to float64, as the command does)
    from smefit.coefficients import CoefficientManager
    from smefit.external_chi2 import load_external_chi2
    from smefit.optimize.ultranest import USOptimizer
    from smefit.rge.rge import RGE

pytestmark = pytest.mark.filterwarnings("ignore")


def test_smefit_loads_two_datasets_and_resolves_constraints(tmp_path: Path) -> None:
    external = {}
    for seed in (1, 2):
        toy_dataset(300, seed).save(tmp_path / f"{seed}.safetensors")
        external[f"set_{seed}"] = {"path": MODULE, "file": str(tmp_path / f"{seed}.safetensors")}
    manager = CoefficientManager.from_dict(
        {"OpW": BOUNDS, "OtG": BOUNDS, "O3pq": {"constrain": [{"OpW": -0.5}, {"OpW": [0.3, 2], "OtG": 2.0}]}}
    )
    terms = load_external_chi2(external, manager, None)
    manager.set_free_parameters([0.2, 0.7])
    manager.set_constraints()
    c = {"OpW": 0.2, "O3pq": -0.1 + 0.3 * 0.04 * 2 * 0.7}
    for seed, term in enumerate(terms, start=1):
        expected = toy_dataset(300, seed).in_basis("smefit").m2logl(c)
        assert float(term(manager.value)) == pytest.approx(float(expected), rel=1e-12)


def test_likelihood_of_nested_sampling_is_ours(tmp_path: Path) -> None:
    import jax

    coefficients = {"OpW": BOUNDS, "OpB": BOUNDS, "OpqMi": BOUNDS, "O3pq": {"constrain": [{"OpqMi": -0.4}]}}
    card = example(tmp_path, coefficients=coefficients)
    config = yaml.safe_load(card.read_text(encoding="utf-8"))
    optimizer = USOptimizer.from_dict(
        {**config, "coefficients": {k: dict(v) for k, v in coefficients.items()}}
    )
    free = list(optimizer.free_parameters.index)
    points = np.random.default_rng(3).normal(scale=0.1, size=(6, 3))
    points[0] = 0.0
    logl = np.asarray(jax.vmap(optimizer.gaussian_loglikelihood)(points))
    single = [float(optimizer.gaussian_loglikelihood(p)) for p in points]
    np.testing.assert_allclose(single, logl, rtol=1e-11)
    ours = Runcard.load(tmp_path / "card.yaml").likelihood()
    expected = ours.m2logl({name: points[:, i] for i, name in enumerate(free)})
    np.testing.assert_allclose(-2 * (logl - logl[0]), expected, rtol=1e-10, atol=1e-10)
    again = pickle.loads(pickle.dumps(optimizer.chi2_ext))
    assert float(again[0](np.full(4, 0.1))) == float(optimizer.chi2_ext[0](np.full(4, 0.1)))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"constrain": True, "value": 0.3}, "fixed to a value"),
        ({"constrain": [{"OpB": 1.0}]}, "another constrained"),
    ],
)
def test_coefficients_that_smefit_evaluates_at_zero(
    entry: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """SMEFiT does that: without the refusal, the values are zero where they should not be."""
    toy_dataset(300).save(tmp_path / "zh")
    block = {"O3pq": BOUNDS, "OpB": {"constrain": [{"O3pq": 1.0}]}, "OpW": entry}
    config = {"coefficients": block, "result_path": str(tmp_path), "result_ID": "x", "use_quad": True}
    other = {"Total": {"path": str(tmp_path / "total.py")}}
    (tmp_path / "total.py").write_text(
        "class Total:\n"
        "    def __init__(self, coefficients, rge_dict):\n"
        "        self.i = list(coefficients.name).index('OpW')\n"
        "    def compute_chi2(self, values):\n"
        "        return values[self.i]\n",
        encoding="utf-8",
    )
    optimizer = USOptimizer.from_dict({**config, "external_chi2": other})
    assert float(optimizer.gaussian_loglikelihood(np.array([0.5]))) == 0.0
    ours = {"zh": {"path": MODULE, "file": str(tmp_path / "zh")}}
    with pytest.raises(InputError, match=message):
        USOptimizer.from_dict({**config, "external_chi2": ours})


def test_running_agrees_with_smefit(tmp_path: Path) -> None:
    data = toy_dataset(300)
    data.save(tmp_path / "zh")
    names = ("O3pq", "OpW", "OpqMi", "OtG")
    manager = CoefficientManager.from_dict({n: dict(BOUNDS) for n in names})
    block = {"init_scale": 5000.0, "smeft_accuracy": "leadinglog", "yukawa": "top", "adm_QCD": False}
    (term,) = load_external_chi2({"zh": {"path": MODULE, "file": str(tmp_path / "zh")}}, manager, block)
    matrix = RGE(list(names), 5000.0, "leadinglog", False, "top").RGEmatrix(data.metadata["scale"])
    values = np.array([0.05, -0.2, 0.1, 0.4])
    evolved = dict(zip(matrix.index, matrix[list(names)].to_numpy() @ values, strict=True))
    inner = data.in_basis("smefit")
    expected = float(inner.m2logl({n: evolved.get(n, 0.0) for n in inner.operators}))
    assert float(term(values)) == pytest.approx(expected, rel=1e-10)
    plain = float(inner.m2logl(dict(zip(names[:3], values[:3], strict=True))))
    assert abs(expected - plain) > 1e-3


def test_command_ns_end_to_end(tmp_path: Path) -> None:
    free = {"OpW": dict(BOUNDS), "OpqMi": dict(BOUNDS)}
    card = example(tmp_path, nlive=100, coefficients={**free, "O3pq": {"constrain": [{"OpqMi": -0.4}]}})
    done = smefit_command(tmp_path, "NS", card.name)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "uses the operators" in done.stdout + done.stderr
    result = results(tmp_path)
    assert set(result["samples"]) == {"OpW", "OpqMi", "O3pq"}
    assert result["free_parameters"] == ["OpW", "OpqMi"]
    dependent = -0.4 * np.array(result["samples"]["OpqMi"])
    np.testing.assert_allclose(result["samples"]["O3pq"], dependent, rtol=1e-12)
    assert_posterior(tmp_path, result)


def test_command_scan_end_to_end(tmp_path: Path) -> None:
    card = example(tmp_path)
    done = smefit_command(tmp_path, "SCAN", card.name, "-s", "7")
    if done.returncode != 0:  # its plots need LaTeX; the numbers are written before
        assert "latex could not be found" in done.stderr, done.stderr[-2000:]
    scan = results(tmp_path, "chi2_scan")
    ours = Runcard.load(tmp_path / "card.yaml").likelihood()
    x = np.array(scan["OpW"]["x"])
    values = np.array(scan["OpW"]["0"])
    expected = ours.m2logl({"OpW": x, "O3pq": 0 * x, "OpqMi": 0 * x})
    np.testing.assert_allclose(values - values[3], expected - expected[3], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("option", "message"), [("--rotate_to_pca", "does not hand over the"), ("--float32", "double precision")]
)
def test_command_refuses(option: str, message: str, tmp_path: Path) -> None:
    card = example(tmp_path)
    done = smefit_command(tmp_path, "NS", card.name, option)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
