"""The subcommands fisher, chi2 and coverage on a card of counted and simulated data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from mixed_data import counts, simulated

from smeft_unbinned import InputError, Likelihood, PoissonDataset, minimise
from smeft_unbinned.cli import chi2, coverage, fisher, main
from smeft_unbinned.statistics import coverage as coverage_of_fits
from smeft_unbinned.statistics import fisher as information
from smeft_unbinned.statistics.toyfit import ToyFit, fit


@pytest.fixture
def card(tmp_path: Path) -> Path:
    plain = counts()
    binned = PoissonDataset("counts", plain.yields, plain.counts)
    events = simulated()
    for dataset in (binned, events):
        dataset.save(tmp_path / f"{dataset.name}.dataset")
    content = {
        "basis": "warsaw",
        "datasets": [
            {"name": "counts", "poisson": "counts.dataset"},
            {"name": "events", "unbinned": "events.dataset"},
        ],
        "coefficients": {"cHW": {"min": -3, "max": 3}, "cHq3": {"min": -3, "max": 3}},
        "result_path": ".",
        "result_ID": "out",
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content))
    minimise(Likelihood([binned, events])).save(tmp_path / "fit_result.json")
    return tmp_path / "card.yaml"


def run(module: Any, *arguments: object) -> Result:
    result = CliRunner().invoke(module.command, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_fisher_says_who_constrains_what(card: Path, tmp_path: Path) -> None:
    result = run(fisher, card, "--at", "cHW=0.1", "-o", tmp_path / "tables")
    assert "principal components" in result.output
    plain = counts()
    likelihood = Likelihood([PoissonDataset("counts", plain.yields, plain.counts), simulated()])
    found = information(likelihood, {"cHW": 0.1})
    table = pd.read_csv(tmp_path / "tables" / "fisher.csv", index_col=0)
    np.testing.assert_allclose(table[["counts", "events"]], found.table, rtol=1e-12)
    whole = json.loads((tmp_path / "tables" / "fisher.json").read_text())
    np.testing.assert_allclose(pd.DataFrame.from_dict(whole["matrix"], orient="index"), found.total)
    assert whole["point"] == {"cHW": 0.1, "cHq3": 0.0}
    at_fit = run(fisher, card, "--result", tmp_path / "fit_result.json").output
    assert at_fit != result.output


def test_many_measurements_are_shortened() -> None:
    plain = counts()
    data = [PoissonDataset(f"n{k}", plain.yields * (k + 1.0)) for k in range(8)]
    frame = fisher.shares(information(Likelihood(data)))
    assert list(frame.columns) == ["individual", "marginal", "first", "second", "third"]
    assert frame.loc["cHW", "first"] == f"n7 {800 / 36:.1f}"


def test_chi2_at_a_point_and_at_a_fit(card: Path, tmp_path: Path) -> None:
    run(chi2, card, "--at", "cHW=0.1", "-o", tmp_path / "chi2.csv")
    table = pd.read_csv(tmp_path / "chi2.csv", index_col=0)
    assert list(table.index) == ["counts", "events", "total"]
    fitted = run(chi2, card, "--result", tmp_path / "fit_result.json").output
    assert "fitted" in fitted
    toys = run(chi2, card, "--at", "cHW=0.1", "--toys", 4, "--seed", 1).output
    assert "total with events" in toys
    with pytest.raises(InputError, match="both say where"):
        run(chi2, card, "--at", "cHW=0.1", "--result", tmp_path / "fit_result.json")


def test_coverage_says_where_to_go_on(card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def killed(*arguments: Any) -> ToyFit:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(sys.modules[coverage_of_fits.__module__], "fit", killed)
    result = CliRunner().invoke(main, ["coverage", str(card), "--toys", "4"])
    assert result.exit_code == 130
    folder = tmp_path / "out" / "coverage"
    assert f"interrupted; what is done is in {folder}: the same command goes on" in result.output
    assert CliRunner().invoke(main, ["coverage", str(card), "--toys", "4"]).exit_code == 0
    assert len(calls) == 5


def test_coverage_goes_on(card: Path, tmp_path: Path) -> None:
    run(coverage, card, "--toys", 3, "--at", "cHW=0.1", "--seed", 2)
    lines = (tmp_path / "out" / "coverage" / "coverage.jsonl").read_text().splitlines()
    output = run(coverage, card, "--toys", 5, "--at", "cHW=0.1", "--seed", 2, "--level", 0.9).output
    again = (tmp_path / "out" / "coverage" / "coverage.jsonl").read_text().splitlines()
    assert again[: len(lines)] == lines
    assert len(again) == 6
    assert "coverage in 5 toys" in output
    table = pd.read_csv(tmp_path / "out" / "coverage" / "coverage.csv")
    assert set(table["level"]) == {0.9}
    with pytest.raises(InputError, match="other settings"):
        run(coverage, card, "--toys", 5, "--at", "cHW=0.1", "--seed", 3)
    with pytest.raises(InputError, match="Did you mean 'cHW'"):
        run(coverage, card, "--toys", 5, "--at", "chw=0.1", "-o", tmp_path / "elsewhere")
