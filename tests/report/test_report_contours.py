"""Two coefficients in the report: fits of pairs against the chi2 of their data, contours of comparisons."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import HOSTILE, Page, circle, read

from smeft_unbinned import FitResult, Runcard
from smeft_unbinned.comparison import Comparison
from smeft_unbinned.report import build, compared_contours, report
from smeft_unbinned.report import paired as pairs_of

CHI2_95, CHI2_68 = 5.991464547, 2.278868566  # of two degrees of freedom, -2 log(1 - level)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FORMATS", ())


@pytest.fixture
def copied(paired: Path, tmp_path: Path) -> Path:
    """The fits of pairs, to be changed."""
    return Path(shutil.copytree(paired, tmp_path / "pairs"))


def chi2(folder: Path, **values: np.ndarray) -> np.ndarray:
    """chi2 of the data of the card at points (n,) of some coefficients, the others zero."""
    (dataset,) = Runcard.load(next(folder.glob("pairwise/*.yaml"))).load_datasets()
    points = np.zeros((len(next(iter(values.values()))), len(dataset.operators)))
    for name, column in values.items():
        points[:, dataset.operators.index(name)] = column
    residuals = np.array([dataset.data - dataset.prediction(c) for c in points])
    return np.asarray(np.sum(residuals * np.linalg.solve(dataset.covariance, residuals.T).T, axis=1))


def test_contours_of_pairs_lie_where_chi2_has_the_quantile(paired: Path, tmp_path: Path) -> None:
    page = read(report([paired], tmp_path / "page.html"))
    contours = [c for c in page.data["contours"] if c["fit"] == "pairs (two at a time)"]
    assert {(c["a"], c["b"]) for c in contours} == {("cHW", "cHq3"), ("cHW", "cHu"), ("cHq3", "cHu")}
    assert page.data["pairs"] == [["cHW", "cHq3"], ["cHW", "cHu"], ["cHq3", "cHu"]]
    for c in contours:
        best = FitResult.load(paired / "pairwise" / "fits" / f"{c['a']}_{c['b']}.json").best
        lowest = chi2(paired, **{n: np.array([best[n]]) for n in (c["a"], c["b"])})[0]
        found = chi2(paired, **{c["a"]: np.array(c["x"]), c["b"]: np.array(c["y"])}) - lowest
        np.testing.assert_allclose(found, {0.95: CHI2_95, 0.68: CHI2_68}[c["level"]], rtol=2e-3)


def test_pairs_have_a_table_and_a_sentence(paired: Path, tmp_path: Path) -> None:
    page = read(report([paired], tmp_path / "page.html"))
    result = FitResult.load(paired / "pairwise" / "fits" / "cHW_cHu.json")
    table = pd.read_csv(tmp_path / "page_files" / "pairwise_pairs.csv").set_index(["pair", "coefficient"])
    row = table.loc[("cHW, cHu", "cHu")]
    assert row["status"] == "valid"
    assert row["best"] == pytest.approx(result.best["cHu"])
    assert row["correlation"] == pytest.approx(result.correlation.loc["cHW", "cHu"])
    assert row["95% upper"] == pytest.approx(result.intervals(0.95, "union").loc["cHu", "upper"].max())
    assert "3 pairs of coefficients fitted two at a time, the others at zero." in page.words
    assert page.data["fits"] == []
    assert page.data["labels"] == ["pairs (two at a time)"]
    assert page.data["order"] == ["cHW", "cHq3", "cHu"]
    assert (tmp_path / "page_files" / "contour_alone_cHW_cHu_pairs.csv").exists()


def test_the_folder_of_the_pairs_alone_will_do(paired: Path, tmp_path: Path) -> None:
    page = read(report([paired / "pairwise"], tmp_path / "page.html"))
    assert len(page.data["paired"]) == 3
    assert {c["fit"] for c in page.data["contours"]} == {"pairwise (two at a time)"}


def test_a_failed_pair_is_failed_and_the_others_stay(copied: Path, tmp_path: Path) -> None:
    path = copied / "pairwise" / "fits" / "cHW_cHu.json"
    replace(FitResult.load(path), valid=False, messages=("no minimum",)).save(path)
    page = read(report([copied], tmp_path / "page.html"))
    bad = next(f for f in page.data["paired"] if f["failed"])
    assert bad == {"label": "pairs (two at a time)", "rows": {}, "failed": ["cHW", "cHu"]}
    assert ["cHW", "cHu"] not in [[c["a"], c["b"]] for c in page.data["contours"]]
    assert "These fits failed: cHW, cHu." in page.words
    table = pd.read_csv(tmp_path / "page_files" / "pairwise_pairs.csv").set_index(["pair", "coefficient"])
    assert table.loc[("cHW, cHu", "cHW"), "status"] == "failed"
    assert table.loc["cHW, cHu"].drop(columns="status").isna().all(axis=None)


def test_pairs_of_other_data_have_no_contours_but_ellipses(copied: Path, tmp_path: Path) -> None:
    for path in (copied / "pairwise" / "fits").glob("*.json"):
        result = FitResult.load(path)
        replace(result, m2logl=result.m2logl - 1.0).save(path)
    page = read(report([copied], tmp_path / "page.html"))
    assert "Contours of two coefficients at a time are not shown: the data of the runcard give" in page.words
    assert page.data["contours"] == []
    assert all(f["correlation"] for f in page.data["paired"])
    assert len(page.data["pairs"]) == 3


def test_of_many_pairs_the_most_correlated_have_contours(
    paired: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_of, "MOST", 1)
    fits = [FitResult.load(p) for p in (paired / "pairwise" / "fits").glob("*.json")]
    first = max(fits, key=lambda r: abs(r.correlation.to_numpy()[0, 1]))
    page = read(report([paired], tmp_path / "page.html"))
    assert {(c["a"], c["b"]) for c in page.data["contours"]} == {first.operators}
    assert "Of 3 pairs the 1 most correlated ones have contours, the others ellipses." in page.words
    assert len(page.data["paired"]) == 3


def test_posteriors_of_pairs_have_points_and_regions_of_highest_density(copied: Path, tmp_path: Path) -> None:
    path = copied / "pairwise" / "fits" / "cHW_cHu.json"
    result = FitResult.load(path)
    rng = np.random.default_rng(3)
    points = rng.multivariate_normal([0.0, 0.0], np.diag([0.01, 4.0]), size=4000)
    samples = pd.DataFrame(points, columns=["cHW", "cHu"])
    replace(result, samples=samples, method="nuts").save(path)
    page = read(report([copied], tmp_path / "page.html"))
    fit = next(f for f in page.data["paired"] if f["names"] == ["cHW", "cHu"])
    assert len(fit["samples"]) == 1500
    curve = next(
        c for c in page.data["contours"] if [c["a"], c["b"]] == ["cHW", "cHu"] and c["level"] == 0.95
    )
    radius = np.hypot(np.array(curve["x"]) / 0.1, np.array(curve["y"]) / 2.0)
    assert np.mean(radius) == pytest.approx(np.sqrt(CHI2_95), rel=0.08)


@pytest.fixture(scope="module")
def compared(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, Path]:
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "FORMATS", ())
        path = report([files], folder / "page.html")
    return read(path), path.with_name("page_files")


def test_contours_of_comparisons(compared: tuple[Page, Path], files: Path) -> None:
    data = compared[0].data
    linear, quadratic = data["compared"]
    assert [linear["label"], quadratic["label"]] == [
        f"{files.name}: cHW and cHq3, linear", f"{files.name}: cHW and cHq3, quadratic",
    ]  # fmt: skip
    assert [c["label"] for c in linear["series"]] == ["exact", "2 bins", HOSTILE]
    wanted = circle(1.5)
    np.testing.assert_allclose(linear["series"][1]["x"], wanted["cHW"], atol=1e-4)  # five digits
    np.testing.assert_allclose(linear["series"][1]["y"], wanted["cHq3"], atol=1e-4)  # five digits
    assert linear["note"] == "At 95 %. No closed region: 4 bins."
    # six widths of the exact region, 2, are shown of the one that is far wider
    for ends in (linear["domain"], linear["range"]):
        np.testing.assert_allclose(ends, [-6.48, 6.48], rtol=1e-3)
    assert data["groups"] == {
        "All": ["exact", "2 bins", HOSTILE], "Unbinned": ["exact"], "Binned": ["2 bins", HOSTILE], "None": [],
    }  # fmt: skip
    looks = [(c["kind"], c["dash"]) for c in linear["series"]]
    assert len(set(looks)) == len(looks)
    table = pd.read_csv(next(compared[1].glob("compared_cHW_cHq3_*.csv")))
    assert len(table) == 6 * 41


def test_a_comparison_without_contours_has_no_such_section(files: Path, tmp_path: Path) -> None:
    content = json.loads((files / "comparison.json").read_text())
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "comparison.json").write_text(json.dumps({**content, "contours": []}))
    page = read(report([tmp_path / "results"], tmp_path / "page.html"))
    assert ("section", {"id": "comparison"}) in page.tags
    assert ("section", {"id": "compared"}) not in page.tags


def test_of_many_versions_the_finest_of_each_family_are_drawn_at_first() -> None:
    families = {"exact": "", "network": "", "rate": ""} | {
        f"{n} bins": "equal" for n in (2, 4, 8, 16, 32, 64)
    }
    table = pd.DataFrame({"version": list(families)})
    empty = pd.DataFrame()
    comparison = Comparison(table, empty, empty, {}, families, {}, {"reference": "exact"})
    assert compared_contours._first(comparison) == ["exact", "network", "rate", "64 bins"]
    few = {k: v for k, v in families.items() if k in ("exact", "2 bins", "4 bins")}
    assert compared_contours._first(replace(comparison, table=table.iloc[[0, 3, 4]], families=few)) == list(
        few
    )


def test_what_compare_keeps_is_no_damaged_fit(files: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(files, tmp_path / "compared"))
    (folder / "fits").mkdir()
    (folder / "fits" / "exact_linear-ab12.json").write_text('{"mark": "ab12", "record": {}}')
    assert "exact_linear" not in read(report([folder], tmp_path / "page.html")).words
