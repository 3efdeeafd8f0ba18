"""Folders of results: fits of shipped tables, a failed one, a large synthetic one, other kinds of files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from pages import HOSTILE, circle

import theory_tables
from smeft_unbinned import FitResult, storage
from smeft_unbinned.cli import main


def _fluctuated(target: Path) -> None:
    """Write the shipped measurements, whose data are the SM, with data that differ by some percent."""
    target.mkdir()
    rng = np.random.default_rng(7)
    for path in (Path(theory_tables.__file__).parent / "commondata").glob("ZH_1*TeV_STXS.yaml"):
        table = yaml.safe_load(path.read_text())
        table["data_central"] = [x * float(rng.normal(1.0, 0.1)) for x in table["data_central"]]
        (target / path.name).write_text(yaml.safe_dump(table))


def _fit(folder: Path, name: str, operators: tuple[str, ...], *options: str, quadratic: bool = False) -> Path:
    data, theory = folder / "commondata", Path(theory_tables.__file__).parent / "theory"
    if not data.exists():
        _fluctuated(data)
    content = {
        "result_ID": name,
        "data_path": str(data),
        "theory_path": str(theory),
        "basis": "warsaw",
        "use_quad": quadratic,
        "datasets": [{"name": "ZH_13TeV_STXS"}, {"name": "ZH_14TeV_STXS"}],
        "coefficients": {operator: {"min": -2.0, "max": 2.0} for operator in operators},
    }
    card = folder / f"{name}.yaml"
    card.write_text(yaml.safe_dump(content))
    done = CliRunner().invoke(main, ["fit", str(card), *options])
    assert done.exit_code == 0, (done.output, done.exception)
    return folder / "results" / name


@pytest.fixture(scope="session")
def fits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Fits by name: "two" coefficients with a contour, scans and fits of one each; "three" with samples."""
    root = tmp_path_factory.mktemp("fits")
    two = _fit(root, "two", ("cHW", "cHq3"))
    three = _fit(root, "three", ("cHW", "cHq3", "cHu"), "--method", "linear", "--samples", "3000")
    card = str(two / "two.yaml")
    for command in (
        ["scan", card, "cHW", "--points", "9", "--contour", "cHW", "cHq3", "--level", "0.95"],
        ["fit", card, "--individual"],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, (done.output, done.exception)
    return {"two": two, "three": three}


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fits of two of three coefficients at a time, with quadratic terms, and no other fit."""
    root = tmp_path_factory.mktemp("paired")
    return _fit(root, "pairs", ("cHW", "cHq3", "cHu"), "--pairwise", quadratic=True)


@pytest.fixture(scope="session")
def failed(fits: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit that failed, in a folder and with messages of hostile names."""
    folder = tmp_path_factory.mktemp("failed") / "fit <img onerror=1> & 'x' $y$"
    folder.mkdir()
    result = FitResult.load(fits["two"] / "fit_result.json")
    bad = replace(result, valid=False, messages=(f"the search did not converge {HOSTILE}",), runcard=None)
    bad.save(folder / "fit_result.json")
    return folder


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without a fit: a model, a report of diagnostics, and a comparison."""
    folder = tmp_path_factory.mktemp("files")
    losses = np.array([[1.0, 0.9], [0.5, 0.4], [0.2, 0.3]])  # epochs, networks
    history = [{"training": list(row), "validation": list(1.1 * row)} for row in losses]
    arrays = {"parameter.0": np.zeros(3)}
    storage.write(folder / "zh.model", "estimator", arrays, {"metadata": {"history": history}})
    (folder / "diagnosis").mkdir()
    checks = [
        {"name": "positivity", "verdict": "pass", "sentence": "r is positive"},
        {"name": "closure", "verdict": "fail", "sentence": f"biased {HOSTILE}"},
    ]
    (folder / "diagnosis" / "report.json").write_text(json.dumps({"kind": "diagnostics", "checks": checks}))
    (folder / "comparison.json").write_text(json.dumps(_comparison()))
    return folder


def _comparison() -> dict[str, object]:
    """A comparison of three versions, one of them with two numbers of bins, the finer one without contour."""
    versions, ratios = ["exact", "2 bins", "4 bins"], [1.0, 1.5, 1.2]
    same = {"fit": ["one at a time"] * 3, "terms": ["linear"] * 3, "global": [False] * 3, "version": versions}
    gains = {
        **same, "bins": [None, 2, 4], "operator": ["cHW"] * 3, "width": ratios, "width_ratio": ratios,
        "width_error": [0.0, 0.02, 0.01], "fisher_ratio": [r**-2 for r in ratios],
        "determinant_ratio": [r**-2 for r in ratios], "equivalent_luminosity": [300.0 / r**2 for r in ratios],
    }  # fmt: skip
    intervals: dict[str, list[object]] = {
        **{k: list(v) for k, v in same.items()}, "operator": ["cHW"] * 3, "level": [0.95] * 3,
        "piece": [0] * 3,
        "lower": [-r / 2 for r in ratios], "upper": [r / 2 for r in ratios], "note": [""] * 3,
    }  # fmt: skip
    for column in intervals.values():
        column.append(column[-1])
    intervals["version"][-1] = HOSTILE
    curves = [
        (v, t, r)
        for t in ("linear", "quadratic")
        for v, r in (("exact", 1.0), ("2 bins", 1.5), (HOSTILE, 99.0))
    ]
    points = pd.concat(
        pd.DataFrame({"version": v, "terms": t, "global": False, "level": 0.95, "curve": 0, **circle(r)})
        for v, t, r in curves
    )
    return {
        "kind": "comparison", "format": 1, "about": {"reference": "exact", "luminosity": 300.0},
        "families": {"exact": "", "2 bins": "equal", "4 bins": "equal"}, "binning": {},
        "intervals": intervals, "gains": gains, "networks": {},
        "contours": [{"pair": ["cHW", "cHq3"], "points": points.to_dict("list")}],
    }  # fmt: skip


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A posterior of fifty coefficients with 10,000 samples, and no runcard."""
    rng, names = np.random.default_rng(1), [f"c{k}" for k in range(50)]
    mixing = rng.normal(size=(50, 50)) * 10.0 ** rng.uniform(-2, 1, size=(50, 1))
    samples = pd.DataFrame(rng.normal(size=(10_000, 50)) @ mixing.T, columns=names)
    folder = tmp_path_factory.mktemp("large") / "fifty"
    folder.mkdir()
    best = dict.fromkeys(names, 0.0)
    FitResult("nuts", best, samples.cov(), 0.0, True, samples=samples).save(folder / "fit_result.json")
    return folder
