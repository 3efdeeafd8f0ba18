"""A comparison as a whole: kept fits, files, networks, further datasets, and the command."""

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
from known_events import EXPECTED, compared, one, two, uniform

from smeft_unbinned import InputError, PoissonDataset
from smeft_unbinned.cli import main
from smeft_unbinned.comparison import TOGETHER, Comparison, fits, run
from smeft_unbinned.comparison.sample import Sample
from smeft_unbinned.comparison.versions import NETWORK, versions_of
from smeft_unbinned.events import Events
from smeft_unbinned.polynomial import Polynomial

SCHEMES = ["rate", {"equal": ["x"], "n": [2, 4]}]


def cli(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_what_is_done_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = fits.record

    def interrupted(task: fits.Task, *rest: Any) -> dict[str, Any]:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(task.version.name)
        return original(task, *rest)

    monkeypatch.setattr(fits, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path, two(), SCHEMES)
    monkeypatch.setattr(fits, "record", original)
    assert compared(tmp_path, two(), SCHEMES).about["fitted"] == 3
    again = compared(tmp_path, two(), SCHEMES)
    assert again.about["fitted"] == 0
    fresh = compared(tmp_path, two(), SCHEMES, levels=[0.9])
    assert fresh.about["fitted"] == 5
    assert set(fresh.table["level"]) == {0.9}
    assert compared(tmp_path, two(seed=2), SCHEMES, levels=[0.9]).about["fitted"] == 5


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    first = compared(tmp_path, two(), ["rate"])
    path = next((tmp_path / "out" / "fits").glob("rate*.json"))
    path.write_text("{")
    again = compared(tmp_path, two(), ["rate"])
    assert again.about["fitted"] == 1
    pd.testing.assert_frame_equal(first.table, again.table)


def test_files_hold_everything(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = compared(tmp_path, two(), SCHEMES, contours="all", quadratic="both")
    paths = {p.name: p for p in found.save(tmp_path / "saved")}
    names = {"comparison.json", "intervals.csv", "gains.csv", "saturation.csv", "contour_a_b.csv"}
    figures = {
        f"{kind}_{terms}.{suffix}"
        for kind in ("intervals", "saturation", "contour_a_b")
        for terms in ("linear", "quadratic")
        for suffix in ("png", "pdf")
    }
    assert set(paths) == names | figures
    assert all(p.stat().st_size > 100 for p in paths.values())
    back = Comparison.load(tmp_path / "saved")
    pd.testing.assert_frame_equal(back.table, found.table)
    pd.testing.assert_frame_equal(back.gains, found.gains)
    pd.testing.assert_frame_equal(back.contours["a", "b"], found.contours["a", "b"])
    assert back.versions == ["exact", "shape only", "rate", "x, 2 equal bins", "x, 4 equal bins"]
    content = json.loads(paths["comparison.json"].read_text())
    assert content["kind"] == "comparison"


def test_contours_enclose_each_other(tmp_path: Path) -> None:
    """Every point of the exact contour lies inside that of bins: -2 log L of bins is lower there."""
    found = compared(tmp_path, two(), [{"equal": ["x"], "n": 4}], contours="all")
    curves = found.contours["a", "b"]
    exact = curves[curves["version"] == "exact"][["a", "b"]].to_numpy()
    sample = Sample(two(), ("a", "b"), 2.0, 1.0, np.zeros(2), 0)
    from smeft_unbinned.comparison import parse_schemes

    versions = versions_of(sample, parse_schemes([{"equal": ["x"], "n": 4}]), ("quadratic",))
    heights = {v.name: np.asarray(v.dataset.m2logl(exact)) for v in versions}
    assert heights["exact"] == pytest.approx(5.991, abs=1e-2)
    assert np.all(heights["x, 4 equal bins"] <= heights["exact"] + 1e-9)


@pytest.mark.parametrize("content", ["{", '{"kind": "fit"}', '{"kind": "comparison", "format": 9}'])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(InputError, match="comparison"):
        Comparison.load(tmp_path)
    with pytest.raises(InputError, match="no such comparison"):
        Comparison.load(tmp_path / "none.json")


class Networks:
    """An ensemble that is right on the mean, and off by a known factor in each of its members."""

    members = 3
    operators = ("c",)
    metadata: dict[str, Any] = {}  # noqa: RUF012

    def replicas(self, features: pd.DataFrame) -> Polynomial:
        x = features["x"].to_numpy()
        rows = [
            np.stack([np.ones_like(x), f * (1.0 + x), 0.4 * f**2 + 0 * x], axis=1) for f in (0.9, 1.0, 1.1)
        ]
        return Polynomial(("c",), np.stack(rows))

    def __call__(self, features: pd.DataFrame) -> Polynomial:
        return Polynomial(("c",), self.replicas(features).coefficients.mean(axis=0))

    def predict(self, features: pd.DataFrame) -> tuple[Polynomial, np.ndarray]:
        form = self.replicas(features)
        return self(features), form.coefficients.std(axis=0)


def test_networks_are_fitted_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second network is the truth: its interval is the exact one."""
    from smeft_unbinned.comparison import run as module

    events = uniform(4000, square=0.4, offset=1.0)
    monkeypatch.setattr(sys.modules["smeft_unbinned.comparison.run"], "estimator_of", lambda *_: Networks())
    assert module is run
    found = compared(tmp_path, events, [{"score": 4}], quadratic="both")
    ends = found.members.query("level == 0.95").set_index("network")
    exact = found.table.query("version == 'exact' and level == 0.95 and terms == 'quadratic'").iloc[0]
    assert list(ends.index) == [0, 1, 2]
    assert ends.loc[1, "lower"] == pytest.approx(exact["lower"], rel=1e-4)
    assert ends.loc[1, "upper"] == pytest.approx(exact["upper"], rel=1e-4)
    assert one(found, NETWORK, "width_ratio", terms="quadratic") == pytest.approx(1.0, abs=0.01)
    assert one(found, NETWORK, "width_ratio", terms="linear") == pytest.approx(1.0, rel=1e-9)
    assert one(found, NETWORK, "width_error", terms="linear") < 1e-9
    assert found.versions == ["exact", "shape only", "network", "score, 4 bins"]


def test_labels_before_a_detector_make_no_exact_version() -> None:
    events = uniform(4000, square=0.4, offset=1.0)
    events = Events(events.features, events.truth, events.weights, None, {"truth": "label of the event"})
    sample = Sample(events, ("c",), 1.0, 1.0, np.zeros(1), 0)
    assert [v.name for v in versions_of(sample, (), ("quadratic",), Networks())] == [NETWORK]
    with pytest.raises(InputError, match="label of the event before the detector"):
        versions_of(sample, (), ("quadratic",))


def with_rest(folder: Path, uncertainty: float = 0.02) -> None:
    """Write a runcard of one further count, (1 + c) n events with n = 1/uncertainty^2."""
    n = uncertainty**-2.0
    PoissonDataset("count", Polynomial(("c",), np.array([[n, n, 0.0]]))).save(folder / "count.dataset")
    card = {
        "basis": "warsaw",
        "datasets": [{"name": "count", "poisson": "count.dataset"}],
        "coefficients": {"c": {"min": -1.0, "max": 1.0}},
    }
    (folder / "rest.yaml").write_text(yaml.safe_dump(card))


def test_informations_of_the_global_fit_add_up(tmp_path: Path) -> None:
    with_rest(tmp_path)
    found = compared(
        tmp_path, uniform(), [{"equal": ["x"], "n": 2}], **{"global": "rest.yaml", "quadratic": "both"}
    )
    own = {"exact": EXPECTED / 3, "x, 2 equal bins": EXPECTED / 4, "shape only": EXPECTED / 3}
    for terms in ("linear", "quadratic"):
        for version, information in own.items():
            width = one(found, version, "width", terms=terms, **{"global": True})
            expected = 2.0 * np.sqrt(3.8414588 / (information + 2500.0))
            assert width == pytest.approx(expected, rel=1e-5 if terms == "linear" else 5e-3)
            alone = one(found, version, "width", terms=terms, **{"global": False})
            assert width < alone
    assert set(found.table["global"]) == {False, True}


def test_a_global_card_of_another_basis_is_refused(tmp_path: Path) -> None:
    with_rest(tmp_path)
    card = yaml.safe_load((tmp_path / "rest.yaml").read_text())
    card.update(
        basis="smefit", datasets=[{"name": "ZH_13TeV_STXS"}], coefficients={"OpW": {"min": -1, "max": 1}}
    )
    (tmp_path / "rest.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(InputError, match="write basis: warsaw"):
        compared(tmp_path, uniform(), [], **{"global": "rest.yaml"})


def card_of(folder: Path, **keys: Any) -> Path:
    content = {
        "process": {"name": "ZH", "n": 3000, "operators": ["cHW", "cHq3"]}, "luminosity": 300,
        "efficiency": 0.01, "schemes": ["rate", "stxs"], "contours": "none", "output": "zh", **keys,
    }  # fmt: skip
    (folder / "zh.yaml").write_text(yaml.safe_dump(content))
    return folder / "zh.yaml"


def test_the_command_generates_trains_fits_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    train = {"replicas": 2, "epochs": 2, "hidden": [8]}
    card = card_of(tmp_path, train=train)
    result = cli("compare", card)
    assert result.exit_code == 0, result.output
    assert "95% intervals in TeV^-2, all together, quadratic" in result.output
    kept = {p.suffix for p in (tmp_path / "zh").iterdir()}
    assert {".events", ".model", ".json", ".csv", ".png", ".pdf"} <= kept
    before = {
        p: p.stat().st_mtime_ns for p in (tmp_path / "zh").rglob("*.*") if p.suffix in (".events", ".model")
    }
    result = cli("compare", card, "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert any("comparison.json" in f["path"] for f in content["files"])
    assert {p: p.stat().st_mtime_ns for p in before} == before
    found = Comparison.load(tmp_path / "zh")
    assert found.about["fitted"] == 0
    assert len(found.members) == 2 * 2 * 2
    assert set(found.ratios(TOGETHER).columns) == {"exact", "shape only", "network", "rate", "STXS"}


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    for keys, words in (
        ({"lumi": 1}, "Did you mean 'luminosity'?"),
        ({"schemes": [{"bins": {"pt_z": [0, 200, 100]}}]}, "edges must increase"),
        ({"process": {"name": "ttbar", "n": 100}, "schemes": ["stxs"]}, "stxs is for ZH and WH"),
    ):
        result = cli("compare", card_of(tmp_path, **keys))
        assert result.exit_code == 2
        assert words in " ".join(result.output.split())
    assert cli("compare", tmp_path / "no.yaml").exit_code == 2


def test_without_matplotlib_tables_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = cli("compare", card_of(tmp_path))
    assert result.exit_code == 0, result.output
    assert "pip install 'smeft-unbinned[plot]'" in " ".join(result.output.split())
    assert (tmp_path / "zh" / "intervals.csv").stat().st_size > 0
    assert not list((tmp_path / "zh").glob("*.png"))


def test_wh_events_know_the_angle_that_finds_a_sign(tmp_path: Path) -> None:
    """Data at a CP-odd coefficient: pT(W) leaves both signs, the charge-weighted angle one."""
    card = {
        "process": {"name": "WH", "n": 8000, "operators": ["cHWtil"]}, "luminosity": 300,
        "efficiency": 0.0372, "at": {"cHWtil": 0.6}, "contours": "none", "schemes": [
            {"equal": ["pt_w"], "n": 4, "name": "pt"}, {"equal": ["q_cos_delta"], "n": 4, "name": "angle"},
        ],
    }  # fmt: skip
    found = run(card, folder=tmp_path)
    rows = found.table.query("level == 0.68")
    assert rows.query("version == 'pt'")["piece"].max() == 1
    assert rows.query("version == 'angle'")["piece"].max() == 0
    assert rows.query("version == 'exact'")["piece"].max() == 0
