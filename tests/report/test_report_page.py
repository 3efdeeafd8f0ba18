"""The report: its numbers against the results themselves, its words, its safety, its size."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from importlib.resources import files as assets
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from pages import HOSTILE, Page, read

from smeft_unbinned import FitResult, Runcard
from smeft_unbinned.cli import main
from smeft_unbinned.errors import InputError
from smeft_unbinned.report import build, report

Fits = dict[str, Path]


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds and has a test of its own."""
    monkeypatch.setattr(build, "FORMATS", ())


@pytest.fixture(scope="module")
def page(
    fits: Fits, failed: Path, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Page, Path]:
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "FORMATS", ())
        path = report([*fits.values(), failed, files], folder / "page.html", title=f"A {HOSTILE}")
    return read(path), path.with_name("page_files")


def rounded(x: float) -> float:
    return pytest.approx(x, rel=1e-4, abs=1e-12)  # type: ignore[no-any-return]


def test_intervals_are_those_of_the_results(page: tuple[Page, Path], fits: Fits) -> None:
    result = FitResult.load(fits["three"] / "fit_result.json")
    for name in result.operators:
        row = page[0].fit("three")["rows"][name]
        assert row["best"] == rounded(result.best[name])
        for level in (0.68, 0.95):
            ends = result.intervals(level).loc[name]
            assert row["intervals"][str(level)] == [[rounded(ends["lower"]), rounded(ends["upper"])]]
    table = pd.read_csv(page[1] / "intervals.csv")
    line = table[(table["parameter"] == "cHu") & (table["fit"] == "three")].iloc[0]
    assert line["95% upper"] == pytest.approx(result.intervals(0.95).loc["cHu", "upper"])


def test_one_at_a_time_stands_beside_the_global_fit(page: tuple[Page, Path], fits: Fits) -> None:
    alone = FitResult.load(fits["two"] / "individual" / "fits" / "cHW.json")
    row = page[0].fit("two (one at a time)")["rows"]["cHW"]
    assert row["best"] == rounded(alone.best["cHW"])
    assert row["best"] != rounded(page[0].fit("two")["rows"]["cHW"]["best"])


def test_absent_coefficients_have_no_value(page: tuple[Page, Path]) -> None:
    assert "cHu" not in page[0].fit("two")["rows"]
    table = pd.read_csv(page[1] / "intervals.csv")
    line = table[(table["parameter"] == "cHu") & (table["fit"] == "two")].iloc[0]
    assert line["status"] == "absent"
    assert line.drop(["parameter", "fit", "status"]).isna().all()


def test_a_failed_fit_shows_messages_and_no_numbers(page: tuple[Page, Path], failed: Path) -> None:
    fit = page[0].fit(failed.name)
    assert fit["rows"] == {}
    assert fit["failed"] == ["cHW", "cHq3"]
    assert fit["messages"] == [f"the search did not converge {HOSTILE}"]
    assert "It did not converge: none of its numbers is shown" in page[0].words
    assert f"the search did not converge {HOSTILE}" in page[0].words
    table = pd.read_csv(page[1] / "intervals.csv")
    assert set(table.loc[table["fit"] == failed.name, "status"]) == {"failed", "absent"}
    assert table.loc[table["fit"] == failed.name, "best"].isna().all()
    assert ("article", {"class": "card failed"}) in page[0].tags


def test_where_no_fit_converged_there_is_no_figure(failed: Path, tmp_path: Path) -> None:
    page = read(report([failed], tmp_path / "page.html"))
    assert not [own for tag, own in page.tags if tag == "figure" and own.get("data-chart") == "intervals"]
    assert "No fit converged: there is nothing to draw." in page.words
    assert page.words.count("the search did not converge") == 2  # in the overview and with the intervals


def test_chi2_and_fisher_information_are_computed_anew(page: tuple[Page, Path], fits: Fits) -> None:
    result = FitResult.load(fits["two"] / "fit_result.json")
    (dataset,) = Runcard.load(fits["two"] / "two.yaml").load_datasets()
    best = np.array([result.best.get(n, 0.0) for n in dataset.operators])

    def residual(c: np.ndarray) -> np.ndarray:
        return np.linalg.solve(np.linalg.cholesky(dataset.covariance), dataset.data - dataset.prediction(c))

    table = pd.read_csv(page[1] / "chi2_two.csv", index_col=0)
    assert table.loc["total", "value"] == pytest.approx(np.sum(residual(best) ** 2))
    assert table.loc["total", "SM value"] == pytest.approx(np.sum(residual(np.zeros_like(best)) ** 2))
    step = 1e-5
    shares = pd.read_csv(page[1] / "fisher_two.csv", index_col=0)
    units = np.eye(len(best))[[dataset.operators.index(n) for n in shares.index]]
    slopes = np.array([residual(best + step * e) - residual(best - step * e) for e in units]) / (2 * step)
    information = slopes @ slopes.T
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(shares["individual"], np.diag(information) ** -0.5, rtol=1e-6)
    np.testing.assert_allclose(shares["marginal"], errors, rtol=1e-6)
    measured = shares.drop(columns=["individual", "marginal"])
    np.testing.assert_allclose(measured.sum(axis=1), 100.0)
    assert list(measured) == ["ZH_13TeV_STXS", "ZH_14TeV_STXS"]


def test_correlations_scans_and_contours(page: tuple[Page, Path], fits: Fits) -> None:
    result, data = FitResult.load(fits["two"] / "fit_result.json"), page[0].data
    value = result.correlation.loc["cHW", "cHq3"]
    assert page[0].fit("two")["correlation"][1][0] == pytest.approx(value, abs=6e-4)
    assert {(c["name"], c["label"]) for c in data["scans"]} == {
        ("cHW", "two, profile"), ("cHW", "two, others zero"),
    }  # fmt: skip
    curve = pd.read_csv(fits["two"] / "scan" / "contour_cHW_cHq3.csv")
    assert data["contours"][0]["x"] == [rounded(x) for x in curve["cHW"]]
    assert data["pairs"] == [["cHW", "cHq3"]]


def test_samples_are_thinned_but_keep_their_moments(page: tuple[Page, Path], fits: Fits) -> None:
    fit, samples = page[0].fit("three"), FitResult.load(fits["three"] / "fit_result.json").samples
    assert samples is not None
    shown = np.array(fit["samples"]) * fit["step"] + fit["centre"]
    spread = samples[fit["names"]].std().to_numpy()
    assert len(shown) == 1500
    assert np.all(np.abs(shown.mean(axis=0) - samples[fit["names"]].mean()) < 5 * spread / np.sqrt(1500))
    np.testing.assert_allclose(shown.std(axis=0), spread, rtol=0.1)
    low, width, density = fit["histograms"]["cHW"]
    assert np.sum(density) * width == pytest.approx(1.0, abs=3e-3)
    assert low == pytest.approx(samples["cHW"].quantile(0.0005), rel=1e-3)


def test_words(page: tuple[Page, Path], fits: Fits) -> None:
    words = re.sub(r"\s+", " ", page[0].words)
    assert "A fit of 2 coefficients to 2 measurements, method minuit. It converged." in words
    lower, upper = FitResult.load(fits["two"] / "fit_result.json").intervals(0.95).loc["cHq3"]
    assert f"the best constrained coefficient is cHq3, to ±{(upper - lower) / 2:.2g} TeV⁻²" in words
    assert "2 coefficients fitted one at a time" in words
    assert "The folder holds 1 trained model, 1 report of diagnostics, 1 comparison." in words


def test_training_diagnostics_and_comparison(page: tuple[Page, Path]) -> None:
    (training,) = page[0].data["training"]
    assert training["scale"] == "log"
    mean = next(c for c in training["series"] if c["label"] == "training, mean")
    assert training["epochs"] == [1, 2, 3]
    assert [c["label"] for c in training["series"][:2]] == ["training, network 1", "training, network 2"]
    assert mean["y"][0] == pytest.approx(0.7)  # the losses 1.0 and 0.9 exceed their minima by 0.8 and 0.6
    verdicts = [a["class"] for tag, a in page[0].tags if tag == "span" and "badge" in str(a.get("class"))]
    assert verdicts[-2:] == ["badge pass", "badge fail"]
    (entry,) = page[0].data["comparison"]
    assert [(r["label"], r["x"]) for r in entry["rows"]] == [("exact", 1.0), ("2 bins", 1.5), ("4 bins", 1.2)]
    assert entry["curves"] == [{"label": "equal", "kind": 1, "x": [2.0, 4.0], "y": [1.5, 1.2]}]


def test_nothing_of_a_file_becomes_markup(page: tuple[Page, Path]) -> None:
    names = [tag for tag, _ in page[0].tags]
    assert names.count("script") == 2
    assert "img" not in names
    assert not [a for _, own in page[0].tags for a in own if a.startswith("on") or a in ("src", "style")]
    assert page[0].words.count(HOSTILE) >= 3
    assert set(page[0].scripts) == {"style", "script", "application/json"}


def test_no_network_and_only_the_own_script_may_run(page: tuple[Page, Path]) -> None:
    links = [str(a["href"]) for tag, a in page[0].tags if "href" in a]
    assert all(x.startswith(("#", "page_files/")) for x in links)
    assert all((page[1].parent / x).exists() for x in links if "%" not in x and not x.startswith("#"))
    (policy,) = (str(a["content"]) for _, a in page[0].tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page[0].scripts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_sizes(large: Path, tmp_path: Path) -> None:
    script = [
        assets("smeft_unbinned.report").joinpath(f"{name}.js").read_bytes() for name in ("charts", "page")
    ]
    assert sum(map(len, script)) < 30_000
    others = []
    for k in range(2):
        other = tmp_path / f"fifty{k}"
        other.mkdir()
        (other / "fit_result.json").write_bytes((large / "fit_result.json").read_bytes())
        others.append(other)
    path = report([large, *others], tmp_path / "page.html")
    assert path.stat().st_size < 5e6
    assert len(read(path).fit("fifty")["samples"]) == 1500


def test_every_figure_is_written_twice(
    fits: Fits, failed: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    monkeypatch.setattr(build, "FORMATS", (".png", ".pdf"))
    path = report([fits["two"], fits["three"], failed, files], tmp_path / "page.html")
    beside = tmp_path / "page_files"
    pictures, papers = sorted(beside.glob("*.png")), sorted(beside.glob("*.pdf"))
    assert [p.stem for p in pictures] == [p.stem for p in papers]
    assert {p.read_bytes()[:4] for p in papers} == {b"%PDF"}
    assert {p.read_bytes()[:4] for p in pictures} == {b"\x89PNG"}
    wanted = {"intervals", "plane_cHW_cHq3", "correlations_two", "fisher_two", "components_two", "chi2_two",
              "scans_two", "posteriors_three"}  # fmt: skip
    assert wanted <= {p.stem for p in papers}
    assert any(p.stem.startswith("training_") for p in papers)
    assert any(p.stem.startswith("saturation_") for p in papers)
    assert any(p.stem.startswith("compared_cHW_cHq3_") for p in papers)
    hrefs = [str(a["href"]) for tag, a in read(path).tags if tag == "a"]
    assert all(f"page_files/{p.name}" in hrefs for p in (*pictures, *papers))


def test_without_matplotlib_the_page_says_so(
    fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: str, extra: str) -> None:
        raise InputError(f"this step needs the package {module!r}")

    monkeypatch.setattr(build, "require", missing)
    monkeypatch.setattr(build, "FORMATS", (".png", ".pdf"))
    path = report([fits["two"]], tmp_path / "page.html")
    assert "Figures were not written as files: this step needs the package 'matplotlib'" in read(path).words
    assert {p.suffix for p in (tmp_path / "page_files").iterdir()} == {".csv", ".json"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: FitResult(**{**fields(r), "m2logl": r.m2logl - 1.0}), "it was fitted to other data"),
        (lambda r: r.with_runcard({**r.runcard, "datasets": [{"name": "nowhere"}]}), "are not shown"),
    ],
    ids=["other data", "no data"],
)
def test_what_cannot_be_recomputed_is_left_out(
    fits: Fits, tmp_path: Path, change: Callable[[FitResult], FitResult], said: str
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    change(FitResult.load(fits["two"] / "fit_result.json")).save(folder / "fit_result.json")
    page = read(report([folder], tmp_path / "page.html"))
    assert said in page.words
    assert page.data["chi2"] == []
    assert page.fit("copy")["rows"]


def fields(result: FitResult) -> dict[str, object]:
    return {name: getattr(result, name) for name in FitResult.__dataclass_fields__}


def test_disjoint_intervals_are_shown_in_pieces(fits: Fits, tmp_path: Path) -> None:
    folder = tmp_path / "alone"
    (folder / "fits").mkdir(parents=True)
    result = FitResult.load(fits["two"] / "individual" / "fits" / "cHW.json")
    pieces = {"0.68": {"cHW": [[-1.0, -0.5], [0.1, 0.2]]}, "0.95": {"cHW": [[-1.5, 0.4]]}}
    split = FitResult(**{**fields(result), "provenance": {**result.provenance, "unions": pieces}})  # type: ignore[arg-type]
    split.save(folder / "fits" / "cHW.json")
    page = read(report([folder], tmp_path / "page.html"))
    assert page.fit("alone")["rows"]["cHW"]["intervals"] == {
        "0.68": [[-1.0, -0.5], [0.1, 0.2]], "0.95": [[-1.5, 0.4]],
    }  # fmt: skip
    line = pd.read_csv(tmp_path / "page_files" / "intervals.csv").iloc[0]
    assert (line["68% lower"], line["68% upper"], line["68% pieces"]) == (-1.0, 0.2, 2)


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(main, ["report", *map(str, arguments)])
    assert done.exit_code == 2, (done.output, done.exception)
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def test_bad_input_is_refused(fits: Fits, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "fit_result.json").write_text('{"kind": "fit result"')
    assert "no such folder" in refused(tmp_path / "nowhere")
    assert "give the folder it is in" in refused(fits["two"] / "fit_result.json")
    assert "nothing to report" in refused(tmp_path / "empty")
    assert "not a readable fit result" in refused(fits["two"], tmp_path / "damaged")
    assert "does not exist" in refused(fits["two"], "-o", tmp_path / "nowhere" / "page.html")


def test_files_that_cannot_be_used_are_told(fits: Fits, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "fit_result.json").write_bytes((fits["two"] / "fit_result.json").read_bytes())
    (folder / "scan_x.csv").write_text("a,b\n1,2\n")
    (folder / "zh.model").write_text("no model")
    (folder / "comparison.json").write_text("{")
    words = read(report([folder], tmp_path / "page.html")).words
    for name in ("scan_x.csv", "zh.model", "comparison.json"):
        assert f"{name} was left out" in words


def test_command(fits: Fits, tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    done = CliRunner().invoke(main, ["report", str(fits["two"]), "-o", str(page), "--title", "Mine"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "mine_files" in done.output
    assert "Mine" in read(page).words
