"""Every way in which SMEFiT fits: vectorised, in several processes, few coefficients, running, many terms."""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from smefit_run import BOUNDS, MODULE, assert_posterior, example, results, smefit_command

from plugins.smefit.example.make import toy_dataset
from smeft_unbinned import Runcard, UnbinnedDataset
from smeft_unbinned.compress import compress
from smeft_unbinned.lowrank import to_sum_of_squares

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")
    import smefit.cli  # noqa: F401 (switches jax to float64, as the command does)
    from smefit import log
    from smefit.chi2 import Scanner
    from smefit.optimize.ultranest import USOptimizer
    from smefit.rge.rge import RGE
    from smefit.runner import Runner

pytestmark = pytest.mark.filterwarnings("ignore")
TWO = {"OpW": BOUNDS, "OpqMi": BOUNDS}
NAMES = ("O3pq", "OpW", "OpqMi")
MPIEXEC = Path(sys.executable).with_name("mpiexec")
with_mpi = pytest.mark.skipif(
    not (MPIEXEC.exists() and importlib.util.find_spec("mpi4py")), reason="mpich or mpi4py is not installed"
)


def run(card: Path, mode: str = "NS", **changes: Any) -> None:
    """Run SMEFiT in this process as its command does, with changes of the card."""
    content = yaml.safe_load(card.read_text(encoding="utf-8"))
    card.write_text(yaml.safe_dump({**content, **changes}), encoding="utf-8")
    np.random.seed(1)  # noqa: NPY002 (ultranest draws from there)
    log.setup_console(None)
    Runner.from_file(card).run_analysis(mode)


def log_likelihood(card: Path, **changes: Any) -> USOptimizer:
    """Return SMEFiT's own log-likelihood of a card."""
    content = yaml.safe_load(card.read_text(encoding="utf-8"))
    return USOptimizer.from_dict({**content, **changes})


def m2logl(optimizer: USOptimizer, points: np.ndarray) -> np.ndarray:
    """Return -2 log L of SMEFiT, zero at the SM, of points (S, n) in the order of its free coefficients."""
    values = [-2 * float(optimizer.gaussian_loglikelihood(p)) for p in (0 * points[0], *points)]
    return np.array(values[1:]) - values[0]


@pytest.mark.parametrize("vectorized", [False, True])
def test_nested_sampling(vectorized: bool, tmp_path: Path) -> None:
    run(example(tmp_path, nlive=100, coefficients=TWO), vectorized=vectorized)
    assert_posterior(tmp_path, results(tmp_path))


@with_mpi
def test_nested_sampling_by_two_processes_that_call_the_engine(tmp_path: Path) -> None:
    card = example(tmp_path, nlive=100, coefficients=TWO)
    content = yaml.safe_load(card.read_text(encoding="utf-8"))
    content["external_chi2"]["zh_14tev"]["inline"] = 0
    card.write_text(yaml.safe_dump(content), encoding="utf-8")
    done = smefit_command(tmp_path, "NS", card.name, before=(str(MPIEXEC), "-n", "2"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert (done.stdout + done.stderr).count("Loading external chi2 module") == 1  # by the first, for both
    assert_posterior(tmp_path, results(tmp_path))


@with_mpi
def test_our_command_runs_two_processes(tmp_path: Path) -> None:
    example(tmp_path, nlive=100, coefficients=TWO)
    arguments = ["smefit", str(tmp_path / "card.yaml"), "--processes", "2", "--", "--log_file", "fit.log"]
    done = smefit_command(tmp_path, *arguments, code="from smeft_unbinned.cli import main; main()")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "fit.log").exists()
    assert_posterior(tmp_path, results(tmp_path))


def test_without_binned_data(tmp_path: Path) -> None:
    card = example(
        tmp_path, nlive=100, coefficients=TWO, datasets=[{"name": "zh", "unbinned": "zh_14tev.safetensors"}]
    )
    assert "datasets" not in yaml.safe_load(card.read_text(encoding="utf-8"))
    run(card)
    assert_posterior(tmp_path, results(tmp_path))


def test_single_parameter_fits_build_the_class_for_each(tmp_path: Path) -> None:
    card = example(tmp_path, nlive=100)
    content = yaml.safe_load(card.read_text(encoding="utf-8"))
    content["coefficients"]["OpBox"] = dict(BOUNDS)  # unknown to the unbinned dataset
    run(card, coefficients=content["coefficients"], single_parameter_fits=True)
    samples = results(tmp_path)["samples"]
    assert set(samples) == {*NAMES, "OpBox"}
    ours = Runcard.load(tmp_path / "card.yaml").likelihood()
    for name in NAMES:
        c = np.linspace(-1, 1, 4001)
        density = np.exp(-0.5 * ours.m2logl({n: c if n == name else 0 * c for n in NAMES}))
        mean = np.average(c, weights=density)
        width = np.sqrt(np.average((c - mean) ** 2, weights=density))
        assert abs(np.mean(samples[name]) - mean) < 0.3 * width
        assert abs(np.std(samples[name]) / width - 1) < 0.2


def test_pairwise_fits(tmp_path: Path) -> None:
    card = example(tmp_path, nlive=100, coefficients=dict.fromkeys(NAMES, BOUNDS))
    run(card, pairwise_fits=True)
    for pair in combinations(NAMES, 2):
        result = results(tmp_path, f"fit_results_{pair[0]}_{pair[1]}")
        content = yaml.safe_load((tmp_path / "card.yaml").read_text(encoding="utf-8"))
        content["coefficients"] = dict.fromkeys(pair, BOUNDS)
        (tmp_path / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        assert_posterior(tmp_path, result, pair)


@pytest.mark.parametrize(
    ("scales", "at"),
    [
        ({"obs_scale": 1000.0}, 1000.0),
        ({"obs_scale": 91.1876}, 1000.0),
        ({"obs_scale": "dynamic"}, 1000.0),
        ({"obs_scale": "dynamic", "scale_variation": 0.5}, 500.0),
    ],
    ids=["static", "static elsewhere", "dynamic", "varied"],
)
def test_coefficients_at_5_tev_run_to_a_dataset_at_1_tev(
    scales: dict[str, Any], at: float, tmp_path: Path
) -> None:
    """The figure: what SMEFiT evaluates is the dataset at its matrix times the coefficients, to 1e-10."""
    names = ("O3pq", "OpW", "OpqMi", "OtG")
    data = toy_dataset(400)
    data.replace(metadata={**data.metadata, "scale": 1000.0}).save(tmp_path / "zh")
    block = {
        "init_scale": 5000.0,
        "smeft_accuracy": "leadinglog",
        "adm_QCD": False,
        "yukawa": "top",
        **scales,
    }
    optimizer = USOptimizer.from_dict(
        {
            "coefficients": dict.fromkeys(names, BOUNDS),
            "external_chi2": {"zh": {"path": MODULE, "file": str(tmp_path / "zh")}},
            "rge": block,
            "result_path": str(tmp_path),
            "result_ID": "x",
            "use_quad": True,
        }
    )
    matrix = RGE(list(names), 5000.0, "leadinglog", False, "top").RGEmatrix(at)
    points = np.random.default_rng(4).uniform(-0.3, 0.3, (20, 4))
    evolved = dict(zip(matrix.index, matrix[list(names)].to_numpy() @ points.T, strict=True))
    inner = data.in_basis("smefit")
    expected = inner.m2logl({n: evolved.get(n, np.zeros(20)) for n in inner.operators})
    np.testing.assert_allclose(m2logl(optimizer, points), expected, rtol=1e-10)
    unevolved = inner.m2logl({n: points[:, names.index(n)] for n in inner.operators})
    assert np.abs(expected - unevolved).min() > 1e-4


@pytest.mark.parametrize("obs_scale", [250.0, "dynamic"])
def test_nested_sampling_with_running(obs_scale: Any, tmp_path: Path) -> None:
    block = {"init_scale": 1000.0, "smeft_accuracy": "leadinglog", "adm_QCD": False, "obs_scale": obs_scale}
    run(example(tmp_path, nlive=100, coefficients=TWO, rge=block))
    assert_posterior(tmp_path, results(tmp_path))


def test_several_datasets_of_every_kind_of_file(tmp_path: Path) -> None:
    """One as it is, one as sums of squares, one compressed, one in single precision; added up by SMEFiT."""
    whole = [toy_dataset(size, seed) for seed, size in enumerate((400, 400, 3000, 400))]
    kept = compress(whole[2])
    assert len(kept) < len(whole[2]) / 2
    files: list[UnbinnedDataset] = [
        whole[0],
        whole[1].replace(ratios=to_sum_of_squares(whole[1].ratios)[0]),
        kept,
        whole[3].astype(np.float32),
    ]
    entries = []
    for i, data in enumerate(files):
        data.save(tmp_path / f"{i}.dataset")
        entries.append({"name": f"set_{i}", "unbinned": f"{i}.dataset"})
    card = example(tmp_path, coefficients=dict.fromkeys(NAMES, BOUNDS), datasets=entries)
    points = np.random.default_rng(6).uniform(-0.2, 0.2, (20, 3))
    inner = [data.in_basis("smefit") for data in files]
    c = {name: points[:, i] for i, name in enumerate(NAMES)}
    expected = sum(data.m2logl(c) for data in inner)
    np.testing.assert_allclose(m2logl(log_likelihood(card), points), expected, atol=1e-5)  # single precision
    del entries[3]
    card = example(tmp_path, coefficients=dict.fromkeys(NAMES, BOUNDS), datasets=entries)
    expected = sum(data.m2logl(c) for data in inner[:3])
    np.testing.assert_allclose(m2logl(log_likelihood(card), points), expected, rtol=1e-10)


def test_a_scan_of_unbinned_and_binned_data(tmp_path: Path) -> None:
    card = example(tmp_path, coefficients=dict.fromkeys(NAMES, BOUNDS))
    scan = Scanner(Runner.from_file(card).run_card, 0, 5)
    scan.compute_scan()
    scan.write_scan()
    ours = Runcard.load(tmp_path / "card.yaml").likelihood()
    found = json.loads((tmp_path / "results/zh_example/chi2_scan.json").read_text(encoding="utf-8"))
    for name in NAMES:
        x, values = np.array(found[name]["x"]), np.array(found[name]["0"])
        expected = ours.m2logl({n: x if n == name else 0 * x for n in NAMES})
        np.testing.assert_allclose(values - values[2], expected - expected[2], rtol=1e-9, atol=1e-9)
