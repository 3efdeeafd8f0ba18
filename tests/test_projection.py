"""Projections: closed forms of what is scaled, the card, and files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.datasets.commondata import CommonData
from smeft_unbinned.errors import InputError
from smeft_unbinned.projection import project, projected
from smeft_unbinned.projection_card import ProjectionCard

NAMES = ("A", "B")
DATA = {
    "A": {
        "description": "three bins, in µb",
        "luminosity": 100.0,
        "num_data": 3,
        "num_sys": 2,
        "data_central": [10.0, 20.0, 5.0],
        "statistical_error": [1.0, 2.0, 0.5],
        "systematics": [[0.5, 0.6, 0.1], [0.4, 0.2, 0.3]],
        "sys_names": ["CORR", "LUMI"],
        "sys_type": ["ADD", "MULT"],
    },
    "B": {
        "luminosity": 100.0,
        "num_data": 1,
        "num_sys": 1,
        "data_central": 8.0,
        "statistical_error": 0.0,
        "systematics": [0.7],
        "sys_names": "UNCORR",
        "sys_type": "ADD",
    },
}
LINEAR = {"A": [1.0, -2.0, 0.5], "B": [3.0]}
SM = {"A": [12.0, 18.0, 6.0], "B": [9.0]}


@pytest.fixture
def card(tmp_path: Path) -> dict[str, Any]:
    for name in NAMES:
        block = {"SM": SM[name], "OtG": LINEAR[name], "OtG*OtG": [0.5] * len(SM[name])}
        theory = {"best_sm": SM[name], "theory_cov": np.eye(len(SM[name])).tolist(), "LO": block}
        for sub, suffix, text in (
            ("commondata", "yaml", yaml.safe_dump(DATA[name], allow_unicode=True, sort_keys=False)),
            ("theory", "json", json.dumps(theory)),
        ):
            (tmp_path / sub).mkdir(exist_ok=True)
            (tmp_path / sub / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    return {
        "commondata_path": "commondata", "theory_path": "theory", "projections_path": "out",
        "datasets": list(NAMES), "fred_sys": 0.5, "fred_tot": 0.25,
    }  # fmt: skip


def run(card: dict[str, Any], folder: Path, **options: Any) -> Any:
    return project(ProjectionCard.from_dict(card, folder), **options)


def content(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_another_luminosity_in_closed_form(card: dict[str, Any], tmp_path: Path) -> None:
    made = run(card, tmp_path, luminosity=400.0)
    out = tmp_path / "out"
    assert listing(out) == {"A_proj.yaml", "B_proj.yaml", "A_proj.json", "B_proj.json"}
    assert set(made.files) == {out / name for name in listing(out)}
    a = content(out / "A_proj.yaml")
    assert a["data_central"] == SM["A"]
    np.testing.assert_allclose(
        a["statistical_error"], np.array([1.0, 2.0, 0.5]) * np.sqrt([1.2, 0.9, 1.2]) / 2, rtol=1e-14
    )
    expected = [[0.25, 0.3, 0.05], [0.2 * 1.2, 0.1 * 0.9, 0.15 * 1.2]]
    np.testing.assert_allclose(a["systematics"], expected, rtol=1e-14)
    assert (a["sys_type"], a["luminosity"], a["description"]) == (["ADD", "ADD"], 400.0, "three bins, in µb")
    b = content(out / "B_proj.yaml")
    assert (b["data_central"], b["statistical_error"], b["systematics"]) == (9.0, [0.0], [0.7 * 0.25])
    assert made.notes == ("B: no statistical uncertainty; all are multiplied by fred_tot 0.25",)
    assert (out / "A_proj.json").read_bytes() == (tmp_path / "theory" / "A.json").read_bytes()


def test_closure_data_at_a_point(card: dict[str, Any], tmp_path: Path) -> None:
    card |= {"use_quad": True, "coefficients": {"OtG": {"constrain": True, "value": 2.0}}}
    made = run(card, tmp_path, seed=7)
    out = tmp_path / "out" / "seed_7"
    assert listing(tmp_path / "out") == {"seed_7/A.yaml", "seed_7/B.yaml"}
    d = GaussianDataset.load(list(NAMES), data_path=out, theory_path=tmp_path / "theory")
    assert d.chi2({"OtG": 2.0}) == pytest.approx(0.0, abs=1e-20)
    np.testing.assert_allclose(d.data, [16.0, 16.0, 9.0, 17.0], rtol=1e-14)
    np.testing.assert_allclose(
        made.datasets["A"].systematics[1], [0.4 * 1.6, 0.2 * 0.8, 0.3 * 1.8], rtol=1e-14
    )
    assert content(out / "A.yaml")["luminosity"] == 100.0


def test_dependent_coefficients_and_linear_predictions(card: dict[str, Any], tmp_path: Path) -> None:
    theory = json.loads((tmp_path / "theory" / "B.json").read_text(encoding="utf-8"))
    theory["LO"]["OpB"] = [1.0]
    (tmp_path / "theory" / "B.json").write_text(json.dumps(theory), encoding="utf-8")
    card["coefficients"] = {
        "OtG": {"constrain": True, "value": 2.0},
        "OpB": {"constrain": [{"OtG": [3.0, 2]}, {"OtG": -1.0}]},  # 3 * 4 - 2
    }
    made = run(card, tmp_path)
    np.testing.assert_allclose(made.datasets["B"].data, [9.0 + 2 * 3.0 + 10.0])
    np.testing.assert_allclose(made.datasets["A"].data, [14.0, 14.0, 7.0])


def test_noise_has_the_covariance_of_the_projection(card: dict[str, Any], tmp_path: Path) -> None:
    card |= {"datasets": ["A"], "theory_path": "theory"}
    parsed = ProjectionCard.from_dict(card, tmp_path)
    sample = np.array(
        [project(parsed, luminosity=400.0, noise="L1", seed=s).datasets["A"].data for s in range(300)]
    )
    d = GaussianDataset.load("A_proj", data_path=tmp_path / "out" / "seed_0", theory_path=tmp_path / "out")
    scale = np.sqrt(np.diag(d.covariance))
    np.testing.assert_allclose(sample.mean(0), SM["A"], atol=4 * scale.max() / 300**0.5)
    np.testing.assert_allclose(
        np.cov(sample.T) / np.outer(scale, scale),
        d.covariance / np.outer(scale, scale),
        atol=4 * (2 / 300) ** 0.5,
    )
    again = project(parsed, luminosity=400.0, noise="L1", seed=5).datasets["A"].data
    np.testing.assert_array_equal(again, sample[5])


def test_factors_of_a_covariance_keep_its_diagonal() -> None:
    measured = CommonData(
        "X", np.array([1.0, 2.0]), np.array([0.1, 0.1]), np.array([[3.0, 0.0], [-4.0, 2.0]]),
        ("CORR", "CORR"), np.array([False, False]), np.array([100.0, 25.0]),
    )  # fmt: skip
    new, notes = projected(measured, np.array([1.0, -2.0]), 400.0, fred_sys=0.5)
    np.testing.assert_allclose(new.systematics, [[2.5, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(new.statistical, [0.05, 0.025])  # the second point has its own luminosity
    assert [n.split(":")[0] for n in notes] == ["X", "X"]
    assert "1 points is zero or of the other sign" in notes[0]
    assert "correlations are dropped" in notes[1]
    same, notes = projected(measured, measured.data)
    np.testing.assert_array_equal(same.systematics, measured.systematics)
    assert notes == []


def test_predictions_beside_the_others(card: dict[str, Any], tmp_path: Path) -> None:
    run(card, tmp_path, luminosity=400.0, theory="beside")
    assert listing(tmp_path / "out") == {"A_proj.yaml", "B_proj.yaml"}
    assert {"A_proj.json", "B_proj.json"} < listing(tmp_path / "theory")


def test_rotated_and_running_coefficients(card: dict[str, Any], tmp_path: Path) -> None:
    rotation = {"matrix": [[0.5]], "xpars": ["OtG"], "ypars": ["c"]}
    (tmp_path / "rotation.json").write_text(json.dumps(rotation), encoding="utf-8")
    card |= {"rot_to_fit_basis": "rotation.json", "coefficients": {"c": {"constrain": True, "value": 2.0}}}
    np.testing.assert_allclose(run(card, tmp_path).datasets["A"].data, [13.0, 16.0, 6.5])

    class Running:
        operators = ("c",)

        def matrix(self, scale: float | None) -> tuple[tuple[str, ...], np.ndarray]:
            return ("c",), np.array([[3.0]])

        def point_scales(self, scales: np.ndarray) -> np.ndarray:
            return scales

    np.testing.assert_allclose(run(card, tmp_path, running=Running()).datasets["A"].data, [15.0, 12.0, 7.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fred_syst": 1.0}, "unknown key 'fred_syst'.* Did you mean 'fred_sys'"),
        ({"projections_path": None}, "needs the key 'projections_path'"),
        ({"datasets": []}, "needs the key 'datasets'"),
        ({"datasets": ["A", "A"]}, "given twice: A"),
        ({"datasets": "A"}, "datasets must be list"),
        ({"use_quad": 1}, "use_quad must be bool"),
        ({"fred_tot": -0.1}, "fred_tot must be a number of at least 0"),
        ({"fred_tot": float("nan")}, "fred_tot must be a number of at least 0"),
        ({"uv_couplings": True}, "uv_couplings is not supported"),
        ({"coefficients": {"OtG": {"min": -1, "max": 1}}}, "OtG of a projection needs a value"),
        ({"coefficients": {"OtG": {"constrain": True, "value": "x"}}}, "OtG"),
    ],
)
def test_cards_that_cannot_be_used(change: dict[str, Any], message: str, card: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=message):
        ProjectionCard.from_dict({**card, **change})


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"noise": "L2"}, "noise must be L0 or L1, got 'L2'"),
        ({}, {"noise": "L1"}, "give its seed"),
        ({}, {"seed": -1}, "seed must lie between"),
        ({}, {"luminosity": 0.0}, "positive number in fb"),
        ({}, {"theory": "here"}, "theory must be projections or beside"),
        ({"datasets": ["A", "C", "D"]}, {}, "(?s)not found.*C .no data.*D .no data"),
        ({"projections_path": "commondata"}, {}, "is the folder of the measurements"),
        (
            {"coefficients": {"OtB": {"constrain": True, "value": 1.0}}},
            {},
            "no dataset depends on OtB.* 'OtG'",
        ),
        ({"default_order": "NLO"}, {}, "A has no order 'NLO'; the file has LO"),
    ],
)
def test_projections_that_cannot_be_made(
    change: dict[str, Any], options: dict[str, Any], message: str, card: dict[str, Any], tmp_path: Path
) -> None:
    before = listing(tmp_path)
    with pytest.raises(InputError, match=message):
        run({**card, **change}, tmp_path, **options)
    assert listing(tmp_path) == before


def test_the_luminosity_of_the_measurement_is_needed(card: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "commondata" / "A.yaml"
    path.write_text(yaml.safe_dump({**DATA["A"], "luminosity": None}), encoding="utf-8")
    assert len(run(card, tmp_path).files) == 2
    with pytest.raises(InputError, match="A: a projection needs the luminosity of the measurement"):
        run(card, tmp_path, luminosity=300.0)
    assert not (tmp_path / "out" / "B_proj.yaml").exists()


def test_nothing_is_left_of_a_projection_that_fails(
    card: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "B_proj.yaml").mkdir(parents=True)  # in the way of a file
    with pytest.raises(InputError, match="is a folder"):
        run(card, tmp_path, luminosity=400.0)
    assert listing(tmp_path / "out") == set()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["B_proj.yaml"]
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(InputError, match="No space left"):
        run({**card, "projections_path": "other"}, tmp_path, luminosity=400.0)
    assert list((tmp_path / "other").iterdir()) == []


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_no_input_is_replaced(card: dict[str, Any], tmp_path: Path) -> None:
    theory = (tmp_path / "theory" / "A.json").read_bytes()
    (tmp_path / "theory" / "A_proj.json").write_bytes(theory)
    (tmp_path / "commondata" / "A_proj.yaml").write_text(yaml.safe_dump(DATA["A"]), encoding="utf-8")
    with pytest.raises(InputError, match=r"A_proj.json would be overwritten"):
        run({**card, "datasets": ["A", "A_proj"]}, tmp_path, luminosity=400.0, theory="beside")
