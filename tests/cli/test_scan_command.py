"""scan: curves and contours as files and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import refuse, run
from scipy import stats

from smeft_unbinned import Likelihood, Runcard, minimise
from smeft_unbinned.cli import scan as command
from smeft_unbinned.fit.scan import contour, scan

pytest.importorskip("matplotlib", reason="the plot extra is not installed")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "vh.yaml"
    content = {
        "result_ID": "vh",
        "basis": "warsaw",
        "use_quad": False,
        "datasets": [{"name": "ZH_13TeV_STXS"}],
        "coefficients": {name: {"min": -1.0, "max": 1.0} for name in ("cHW", "cHq3")},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_curves_and_contours_are_written(card: Path, tmp_path: Path) -> None:
    options = ("--points", 7, "--range", "cHW=-0.2,0.1", "--contour", "cHW", "cHq3", "--level", 0.5)
    done = run("scan", card, "cHW", *options)
    assert done.exit_code == 0, (done.output, done.exception)
    folder = tmp_path / "results" / "vh" / "scan"
    likelihood = Runcard.load(card).likelihood()
    best = minimise(likelihood)
    curve = pd.read_csv(folder / "scan_cHW.csv")
    np.testing.assert_allclose(curve["value"], np.linspace(-0.2, 0.1, 7), atol=1e-12)
    np.testing.assert_allclose(
        curve["delta"], (curve["value"] - best.best["cHW"]) ** 2 / best.errors["cHW"] ** 2, atol=1e-6
    )
    alone = pd.read_csv(folder / "scan_cHW_individual.csv")
    np.testing.assert_allclose(alone["m2logl"], [likelihood.m2logl({"cHW": x}) for x in alone["value"]])
    assert not (folder / "scan_cHq3.csv").exists()
    ring = pd.read_csv(folder / "contour_cHW_cHq3.csv")
    assert set(ring["level"]) == {0.5}
    height = likelihood.m2logl(ring[["cHW", "cHq3"]].to_numpy()) - best.m2logl
    np.testing.assert_allclose(height, stats.chi2.ppf(0.5, 2), rtol=1e-5)
    for figure in ("scan.png", "contour_cHW_cHq3.png"):
        assert (folder / figure).stat().st_size > 5_000


def test_what_is_done_is_not_done_again(card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    stop = 3

    def curve(likelihood: Likelihood, name: str, *arguments: Any, **options: Any) -> pd.DataFrame:
        calls.append(f"{name} {options['kind']}")
        if len(calls) == stop:
            raise KeyboardInterrupt
        return scan(likelihood, name, *arguments, **options)

    def ring(*arguments: Any, **options: Any) -> dict[float, list[pd.DataFrame]]:
        calls.append("contour")
        if len(calls) == stop:
            raise KeyboardInterrupt
        return contour(*arguments, **options)

    monkeypatch.setattr(command, "scan", curve)
    monkeypatch.setattr(command, "contour", ring)
    options = ("--points", 5, "--contour", "cHW", "cHq3", "cHW", "cHq3", "-o", tmp_path / "out")
    done = run("scan", card, *options)
    assert done.exit_code == 130
    kept = tmp_path / "out" / "unfinished"
    assert f"interrupted; what is done is in {kept}: the same command goes on" in done.output
    assert calls == ["cHW profile", "cHW individual", "cHq3 profile"]
    stop = 6
    assert run("scan", card, *options).exit_code == 130
    assert calls[3:] == ["cHq3 profile", "cHq3 individual", "contour"]
    content = yaml.safe_load(card.read_text())
    card.write_text(yaml.safe_dump({**content, "use_quad": True}))  # another card
    stop = 9
    assert run("scan", card, *options).exit_code == 130
    assert calls[6:] == ["cHW profile", "cHW individual", "cHq3 profile"]
    stop = 0
    (kept / "scan_cHW_individual.json").write_text("{")  # damaged
    done = run("scan", card, *options)
    assert done.exit_code == 0, (done.output, done.exception)
    assert calls[9:] == ["cHW individual", "cHq3 profile", "cHq3 individual", "contour"]
    assert not kept.exists()
    monkeypatch.undo()
    assert run("scan", card, *options[:-1], tmp_path / "whole").exit_code == 0
    files = sorted(p.name for p in (tmp_path / "whole").glob("*.csv"))
    assert len(files) == 5
    for name in files:
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_contours_of_a_posterior_need_its_result(card: Path, tmp_path: Path) -> None:
    run("fit", card, "--method", "linear", "--samples", 2000, "-o", tmp_path / "fit")
    result = tmp_path / "fit" / "fit_result.json"
    done = run("scan", card, "--contour", "cHW", "cHq3", "--result", result, "-o", tmp_path / "out")
    assert "posterior contours of cHW and cHq3" in " ".join(done.output.split())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "contour_cHW_cHq3.csv", "contour_cHW_cHq3.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("cHu",), "'cHu' is not free in this card; free are cHW, cHq3"),
        (("--contour", "cHW", "cHu"), "'cHu' is not free in this card"),
        (("cHW", "--range", "cHW=1"), "--range must read NAME=LOWER,UPPER, got 'cHW=1'"),
        (("cHW", "--range", "cHW=1,-1"), "a lower end below the upper one"),
        (("cHW", "--result", "nowhere.json"), "no such fit result"),
        (("cHW", "--points", 1), "not in the range"),
    ],
)
def test_refusals(card: Path, tmp_path: Path, options: tuple[object, ...], words: str) -> None:
    assert words in refuse("scan", card, *options)
    assert not (tmp_path / "results").exists()
