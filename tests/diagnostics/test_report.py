"""diagnose as a whole: what is checked, where, and what the report holds."""

from __future__ import annotations

import json
from pathlib import Path

import known
import numpy as np
import pytest
from scipy import stats

from smeft_unbinned import Events, InputError, Likelihood, Polynomial, UnbinnedDataset, minimise
from smeft_unbinned.diagnostics import CHECKS, Check, Report, diagnose, positivity, prepare
from smeft_unbinned.diagnostics.points import alone, as_points, title, visible

FAST = tuple(name for name in CHECKS if name != "closure")


@pytest.fixture(scope="module")
def exact() -> Report:
    return diagnose(known.Known(), known.sample(4000, 1), toys=40, expected=300.0, seed=3, checks=FAST)


def test_the_exact_ratio_passes_every_check(exact: Report) -> None:
    assert [check.name for check in exact.checks] == list(FAST)
    assert list(exact.table()["verdict"]) == ["pass"] * len(FAST)
    assert exact.verdict == "pass"


def test_a_biased_estimate_fails_the_checks_of_rate_truth_and_coverage() -> None:
    report = diagnose(known.Known(known.biased), known.sample(6000, 1), toys=30, expected=1000.0, checks=FAST)
    failed = set(report.table().query("verdict == 'fail'").index)
    assert {"expectation", "reference", "truth", "coverage"} <= failed
    assert report["spread"].verdict == "pass"  # the members agree on the wrong answer
    assert report.verdict == "fail"


def test_a_linear_estimate_is_named_and_copes() -> None:
    report = diagnose(
        known.Known(known.linear_only), known.sample(4000, 1), toys=10, expected=50.0, checks=FAST
    )
    assert report["positivity"].numbers["linear_only"]
    assert report["positivity"].verdict != "pass"
    assert "linear term only" in report["positivity"].sentence
    json.loads(report.json())


def test_without_truth_the_rest_is_done() -> None:
    report = diagnose(known.Known(), known.sample(20_000, 1, truth=False), expected=50.0, checks=FAST)
    verdicts = report.table()["verdict"]
    assert verdicts["expectation"] == "pass"
    assert set(verdicts[["truth", "coverage", "reference"]]) == {"not applicable"}
    assert report.settings["truth"] == "none"


def test_half_widths_are_those_of_the_fit() -> None:
    events, expected = known.sample(3000, 1), 300.0
    case = prepare(known.Known(), events, expected, 0)
    weights = np.full(3000, expected / 3000)
    data = UnbinnedDataset("one", events.truth, events.truth.sum(weights), weights)
    for name, half in zip(known.OPERATORS, case.half_widths, strict=True):
        ends = minimise(Likelihood([data]).only([name])).intervals(0.95).loc[name]
        assert half == pytest.approx(0.5 * (ends["upper"] - ends["lower"]), rel=1e-4)
    assert stats.chi2.ppf(0.95, 1) == pytest.approx(3.841458820694124)


def test_positivity() -> None:
    case = prepare(known.Known(), known.sample(500, 1), 100.0, 0)
    assert positivity(case).verdict == "pass"
    case = prepare(known.Known(known.linear_only), known.sample(500, 1), 100.0, 0)
    point = np.array([[-1.5, 0.0]])
    check = positivity(case, point)
    share = np.mean(case.form.evaluate(point[0]) <= 0)
    assert check.verdict == "fail"
    assert check.numbers["share_near"] == pytest.approx(share)
    assert positivity(case, 0.01 * point).verdict == "warn"


def test_points() -> None:
    case = prepare(known.Known(), known.sample(2000, 1), 1e4, 0)
    names = case.operators
    np.testing.assert_allclose(as_points({"b": 2.0}, names), [[0.0, 2.0]])
    np.testing.assert_allclose(as_points([{"a": 1.0}, {"b": 2.0}], names), [[1.0, 0.0], [0.0, 2.0]])
    assert title(np.array([0.5, 0.0]), names) == "a=+0.5"
    assert title(np.zeros(2), names) == "SM"
    for point in visible(case, alone(case)):
        r = case.truth.evaluate(point)
        assert 0.1 < r.std() / r.mean() <= 0.5
    for bad in ([[1.0]], [[np.nan, 0.0]], {"z": 1.0}):
        with pytest.raises(InputError):
            as_points(bad, names)


def test_given_points_are_used() -> None:
    report = diagnose(
        known.Known(), known.sample(2000, 1), points={"a": 0.2}, checks=["expectation", "coverage"], toys=5
    )
    assert list(report["expectation"].tables["points"]["point"]) == ["a=+0.2"]
    assert set(report["coverage"].tables["coverage"]["point"]) == {"SM", "a=+0.2"}
    assert report.settings["points_chosen"] == "given"


def test_what_is_saved(exact: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    paths = exact.save(tmp_path / "out")
    names = {path.name for path in paths}
    assert names == {"report.txt", "report.json", "overview.png", *(f"{name}.png" for name in FAST)}
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in paths if path.suffix == ".png")
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["verdict"] == "pass"
    assert content["checks"][1]["tables"]["points"][0]["point"].startswith("a=")
    text = (tmp_path / "out" / "report.txt").read_text()
    assert all(check.sentence in text for check in exact.checks)


def test_figures_of_reports_with_less(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    events = known.sample(400, 1)
    mixed = Events(events.features, None, np.where(np.arange(400) < 2, -0.1, 1.0), known.rate())
    report = diagnose(known.Known(), mixed, checks=FAST, other=known.Known())
    assert len(report.save(tmp_path)) == 3 + sum(bool(check.tables) for check in report.checks)


def test_closure_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    pytest.importorskip("sklearn", reason="the trees extra is not installed")
    report = diagnose(known.Known(), known.sample(300, 1), checks=["closure"], points={"a": 0.5})
    assert {path.name for path in report.save(tmp_path)} >= {"closure.png"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checks": ["covrage"]}, "unknown check 'covrage'.*Did you mean 'coverage'"),
        ({"toys": -1}, "cannot be negative"),
        ({"expected": 0.0}, "positive and finite"),
        ({"points": {"c": 1.0}}, "unknown operator 'c'"),
    ],
)
def test_mistakes(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        diagnose(known.Known(), known.sample(50, 1), **options)


def test_events_that_do_not_fit() -> None:
    events = known.sample(50, 1)
    with pytest.raises(InputError, match="needs y, which these events lack"):
        diagnose(known.Known(), Events(events.features[["x"]], events.truth))
    with pytest.raises(InputError, match="depends on b, which the truth"):
        diagnose(known.Known(), Events(events.features, events.truth.restrict(["a"])))
    with pytest.raises(InputError, match="does not depend on a"):
        diagnose(known.Known(known.no_effect), Events(events.features, None, None, known.rate()))
    with pytest.raises(InputError, match="relative to the SM"):
        diagnose(known.Known(), Events(events.features, Polynomial(("a", "b"), np.full((50, 6), 2.0))))
    with pytest.raises(InputError, match="sum to"):
        diagnose(known.Known(), Events(events.features, events.truth, np.zeros(50)))


def test_report_and_checks_print() -> None:
    report = Report((Check("one", "warn", "something", {"value": np.nan}),), {"seed": 1})
    assert "one: warn" in repr(report)
    assert json.loads(report.json())["checks"][0]["numbers"]["value"] is None
    assert report["one"].verdict == "warn"
    with pytest.raises(InputError, match="no check 'two'"):
        report["two"]
