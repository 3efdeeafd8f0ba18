"""fit: methods, levels, single fits, Asimov data, and what is left behind after Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import refuse, run

from smeft_unbinned import FitResult, Runcard, minimise
from smeft_unbinned.cli import fit as command
from smeft_unbinned.fit import methods, single

NAMES = ("cHW", "cHq3")


def content(**more: object) -> dict[str, object]:
    return {
        "basis": "warsaw",
        "datasets": [{"name": "ZH_13TeV_STXS"}, {"name": "WH_13TeV_STXS"}],
        "coefficients": {name: {"min": -1.0, "max": 1.0} for name in NAMES},
        **more,
    }


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "vh.yaml"
    path.write_text(yaml.safe_dump(content(result_ID="vh")))
    return path


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    path = tmp_path / "linear.yaml"
    path.write_text(yaml.safe_dump(content(result_ID="linear", use_quad=False)))
    return path


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.output.split())


def test_the_result_knows_its_card_and_levels_are_printed(card: Path, tmp_path: Path) -> None:
    output = succeed("fit", card, "--level", "0.9", "--level", "0.999")
    assert "90% lower" in output
    assert "99.9% upper" in output
    assert "95%" not in output
    for words in ("chi2 at the best fit", "ZH_13TeV_STXS", "total"):
        assert words in output
    folder = tmp_path / "results" / "vh"
    result = FitResult.load(folder / "fit_result.json")
    assert result.runcard == content(result_ID="vh")
    assert set(result.stored_intervals) == {0.9, 0.999}
    copied = yaml.safe_load((folder / "vh.yaml").read_text())  # where SMEFiT looks for it
    assert (copied["result_ID"], copied["result_path"]) == ("vh", str(tmp_path / "results"))
    again = Runcard.load(folder / "vh.yaml")
    assert again.coefficients == Runcard.load(card).coefficients
    before = card.read_text()
    succeed("fit", card, "-o", tmp_path)  # the folder of the card
    assert card.read_text() == before


def test_a_card_in_its_own_result_folder_stays_as_it_is(card: Path, tmp_path: Path) -> None:
    place = tmp_path / "vh"
    place.mkdir()
    text = "# mine\n" + card.read_text()
    (place / "vh.yaml").write_text(text)
    succeed("fit", place / "vh.yaml", "-o", place)
    assert (place / "vh.yaml").read_text() == text


def test_other_methods_have_their_own_options(card: Path, linear: Path, tmp_path: Path) -> None:
    succeed("fit", linear, "--method", "linear", "--samples", 70, "-o", tmp_path / "a")
    result = FitResult.load(tmp_path / "a" / "fit_result.json")
    assert (result.method, len(result.samples)) == ("linear", 70)
    assert len(json.loads((tmp_path / "a" / "fit_results.json").read_text())["samples"]["cHW"]) == 70
    output = succeed("fit", linear, "--method", "auto", "--seed", 3, "-o", tmp_path / "b")
    assert "note: method linear" in output or "quadratic" in output
    assert len(FitResult.load(tmp_path / "b" / "fit_result.json").samples) == 10_000  # the card's default
    succeed("fit", linear, "--method", "auto", "--samples", 30, "--nlive", 100, "-o", tmp_path / "b")
    assert len(FitResult.load(tmp_path / "b" / "fit_result.json").samples) == 30
    assert "log Z" in succeed("fit", card, "--method", "laplace", "--samples", 500, "-o", tmp_path / "c")
    message = refuse("fit", card, "--method", "laplace", "--nlive", 100, "-o", tmp_path / "d")
    assert "--nlive has no use with --method laplace; leave it out" in message
    assert "--samples has no use with --method minuit" in refuse("fit", card, "--samples", 10)
    assert "is not quadratic" in refuse("fit", card, "--method", "linear", "-o", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_asimov_data_give_the_point_back(card: Path, tmp_path: Path) -> None:
    options = ("--asimov", "cHW=0.1", "--asimov", "cHq3=-0.02", "-o", tmp_path / "out")
    output = succeed("fit", card, *options)
    assert "the data are those expected at cHW = 0.1, cHq3 = -0.02, not the measured ones" in output
    result = FitResult.load(tmp_path / "out" / "fit_result.json")
    assert result.best["cHW"] == pytest.approx(0.1, abs=1e-4)
    assert result.best["cHq3"] == pytest.approx(-0.02, abs=1e-5)
    assert "expected at the SM" in succeed("fit", card, "--asimov", "sm", "-o", tmp_path / "sm")
    assert "must read NAME=NUMBER" in refuse("fit", card, "--asimov", "cHW", "-o", tmp_path / "x")


def test_single_fits_by_option_and_by_card(card: Path, tmp_path: Path) -> None:
    output = succeed("fit", card, "--individual")
    assert "one coefficient at a time" in output
    place = tmp_path / "results" / "vh" / "individual"
    table = pd.read_csv(place / "table.csv", index_col=0)
    likelihood = Runcard.load(card).likelihood()
    for name in NAMES:
        direct = minimise(likelihood.only([name])).intervals(0.95).loc[name]
        np.testing.assert_allclose(
            table.loc[name, ["95% lower", "95% upper"]].astype(float), direct, rtol=1e-6
        )
    assert json.loads((place / "fit_results.json").read_text())["single_parameter_fits"] is True
    assert yaml.safe_load((place / "individual.yaml").read_text())["single_parameter_fits"] is True
    assert not (tmp_path / "results" / "vh" / "fit_result.json").exists()
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(content(result_ID="own", pairwise_fits=True)))
    assert "two coefficients at a time" in succeed("fit", own)
    folder = tmp_path / "results" / "own"
    assert (folder / "fit_results_cHW_cHq3.json").exists()
    assert FitResult.load(folder / "fits" / "cHW_cHq3.json").valid
    succeed("fit", own, "--global")
    assert FitResult.load(folder / "fit_result.json").operators == NAMES
    assert "--replicas is for the fit of all coefficients" in refuse(
        "fit", card, "--individual", "--replicas"
    )


def test_ctrl_c_says_where_to_go_on(card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def killed(*arguments: object, **options: object) -> FitResult:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return methods.fit(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(single, "fit", killed)
    result = run("fit", card, "--individual", "-o", tmp_path / "out")
    assert result.exit_code == 130
    line = f"interrupted; what is done is in {tmp_path / 'out' / 'individual'}: the same command goes on"
    assert line in result.output
    assert "Traceback" not in result.output
    succeed("fit", card, "--individual", "-o", tmp_path / "out")
    assert len(calls) == 3  # the first one is not repeated

    def at_once(*_: object, **__: object) -> FitResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fit", at_once)
    result = run("fit", card, "-o", tmp_path / "new")
    assert result.exit_code == 130
    assert "interrupted; nothing is kept, the same command begins anew" in result.output
    assert not (tmp_path / "new").exists()


def on_two(two_ranks: list[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [*two_ranks, "-c", "from smeft_unbinned.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)


def test_the_first_of_two_processes_alone_writes_and_prints(
    two_ranks: list[str], card: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ultranest", reason="the nested extra is not installed")
    options = ("--method", "ultranest", "--nlive", 50, "--asimov", "sm", "-o", tmp_path / "out")
    done = on_two(two_ranks, "fit", card, *options)
    assert done.returncode == 0, done.stderr
    for words in ("expected at the SM", "log Z", "wrote", "fit_result.json: the result"):
        assert done.stdout.count(words) == (2 if words == "wrote" else 1)
    result = FitResult.load(tmp_path / "out" / "fit_result.json")
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["fit_result.json", "fit_results.json", "out.yaml", "ultranest"]
    assert len(list((tmp_path / "out" / "ultranest").iterdir())) == 1
    alone = succeed("fit", card, "--method", "laplace", "--asimov", "sm", "-o", tmp_path / "one")
    assert "log Z" in alone
    other = FitResult.load(tmp_path / "one" / "fit_result.json")
    assert abs(result.logz - other.logz) < 4 * result.logz_error


def test_single_fits_of_two_processes_are_stored_once(
    two_ranks: list[str], card: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ultranest", reason="the nested extra is not installed")
    options = ("--individual", "--method", "ultranest", "--nlive", 50, "-o", tmp_path / "out")
    done = on_two(two_ranks, "fit", card, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("one coefficient at a time") == 1
    fits = tmp_path / "out" / "individual" / "fits"
    assert sorted(p.name for p in fits.iterdir()) == ["cHW.json", "cHq3.json"]
    before = {p.name: p.stat().st_mtime_ns for p in fits.iterdir()}
    assert on_two(two_ranks, "fit", card, *options).returncode == 0
    assert {p.name: p.stat().st_mtime_ns for p in fits.iterdir()} == before


def test_other_methods_run_in_one_of_two_processes(two_ranks: list[str], card: Path, tmp_path: Path) -> None:
    done = on_two(two_ranks, "fit", card, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    note = "--method minuit runs in one of the processes; auto and ultranest use all of them"
    for words in (note, "-2 log L relative to the SM", "fit_result.json: the result"):
        assert done.stdout.count(words) == 1


def test_a_mistake_is_told_once_by_two_processes(two_ranks: list[str], tmp_path: Path) -> None:
    for method in ("ultranest", "minuit"):
        done = on_two(two_ranks, "fit", tmp_path / "nowhere.yaml", "--method", method)
        assert done.returncode == 2
        assert done.stderr.count("no such runcard") == 1
        assert "Traceback" not in done.stderr
