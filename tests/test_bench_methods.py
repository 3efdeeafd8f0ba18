"""The benchmark of training methods at its smallest: figures that have to come out, files, and the report."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

PROGRAMS = Path(__file__).parents[1] / "benchmarks" / "methods"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a program by name, and forget it afterwards: its name is a common word."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)
    own = [n for n, m in sys.modules.items() if Path(getattr(m, "__file__", None) or "").parent == PROGRAMS]
    for name in own:
        del sys.modules[name]


def test_from_training_to_report(
    program: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    main = program("run").main
    small = ["--scale", "0.01", "--output", str(results), "--docs", str(docs)]
    table = ["--problems", "toy", "--methods", "derivative,carl"]
    assert main([*small, *table, "--stages", "table"]) == 0
    assert capsys.readouterr().out.count("CPU s") == 3
    assert main([*small, *table, "--stages", "table,report"]) == 0
    assert capsys.readouterr().out.count(": there") == 3
    row = json.loads((results / "table" / "toy__carl.json").read_text())["results"]
    assert len(row["log_r"]["mse"]) == 8
    assert row["log_r"]["pairs"] == 8 * 1000
    assert row["cpu"] > 0
    text = (docs / "methods.md").read_text()
    for part in ("## Goals", "### one-dimensional toy", "| derivative |", "| carl |", "a trial run"):
        assert part in text
    assert (docs / "figures" / "methods_cost.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_method_is_refused(
    program: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program("run").main(["--output", str(tmp_path), "--methods", "magic"]) == 2
    assert "unknown method 'magic'" in capsys.readouterr().err


def test_exact_ratios_have_no_error(program: Callable[[str], ModuleType]) -> None:
    common, toy = program("common"), importlib.import_module("smeft_unbinned.processes.toy")
    reference = common.exact("toy", 0.02, 3)
    found = common.measure(lambda x: toy.ratio(x["x"].to_numpy()), reference)
    assert found["log_r"]["largest_mse"] < 1e-20
    assert found["log_r"]["non_positive"] == 0
    for entry in found["intervals"]:
        assert entry["width_ratio"] == pytest.approx(1.0, abs=1e-6)
        assert entry["shift"] == pytest.approx(0.0, abs=1e-6)
    # a ratio whose effect is four times as large has intervals half as wide
    wide = common.measure(
        lambda x: common.Polynomial(("theta",), toy.ratio(x["x"].to_numpy()).coefficients * [1, 0, 4]),
        reference,
    )
    assert wide["log_r"]["mean_mse"] > 0.1


def test_intervals_on_a_grid(program: Callable[[str], ModuleType]) -> None:
    grid = np.linspace(-1.0, 1.0, 41)
    found = program("gridfit").grid_intervals(grid, (grid - 0.1) ** 2 / 0.2**2 + 7.0)
    for level, (lower, upper) in found.items():
        half = 0.2 * np.sqrt(stats.chi2.ppf(level, 1))
        assert (lower, upper) == pytest.approx((0.1 - half, 0.1 + half), abs=1e-9)
    lower, upper = program("gridfit").grid_intervals(grid, (grid - 0.9) ** 2 / 0.2**2)[0.95]
    assert lower == pytest.approx(0.9 - 0.2 * 1.959964, abs=1e-6)
    assert np.isnan(upper)


def test_separate_samples_share_the_events(program: Callable[[str], ModuleType]) -> None:
    pool = program("common").PROBLEMS["zh2"].generate(5000, 1)
    separate = program("separate")
    full = separate.separate_samples(pool, "full", np.array([0.2, 0.05]), 1200, 1)
    assert [len(e) for e in full.events] == [200] * 6
    sigma = full.cross_section()
    expected = pool.cross_section.coefficients
    assert sigma.coefficients == pytest.approx(expected, rel=1e-6, abs=1e-9 * expected[0])
    terms = separate.separate_samples(pool, "terms", np.array([0.2, 0.05]), 1200, 1)
    assert sorted(terms.terms) == ["cross", "full", "linear", "linear", "quadratic", "quadratic"]


def test_failures_are_results_and_tried_again(program: Callable[[str], ModuleType], tmp_path: Path) -> None:
    common = program("common")
    bench = common.Bench(tmp_path)

    def fails() -> dict[str, float]:
        raise common.InputError("not today")

    assert common.cached(bench, "stage", "one", {"a": 1}, fails) == {"failed": "not today"}
    assert common.cached(bench, "stage", "one", {"a": 1}, lambda: {"x": 2.0}) == {"x": 2.0}
    assert common.cached(bench, "stage", "one", {"a": 1}, fails) == {"x": 2.0}
    assert common.cached(bench, "stage", "one", {"a": 2}, lambda: {"x": 3.0}) == {"x": 3.0}


def test_means_in_bins(program: Callable[[str], ModuleType]) -> None:
    binned = program("smeared")._binned
    rng = np.random.default_rng(0)
    values, weights, bins = rng.normal(size=(500, 2)), rng.uniform(size=500), rng.integers(0, 3, 500)
    mean, error = binned(values, weights, bins, 4)
    frame = pd.DataFrame({"bin": bins, "w": weights, "v": values[:, 1]})
    for k, part in frame.groupby("bin"):
        average = np.average(part.v, weights=part.w)
        assert mean[k, 1] == pytest.approx(average)
        assert error[k, 1] == pytest.approx(
            np.sqrt(np.sum((part.w * (part.v - average)) ** 2)) / part.w.sum()
        )
    assert np.isnan(mean[3]).all()
