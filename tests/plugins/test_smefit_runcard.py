"""Cards of this package as cards of SMEFiT, and the example that comes with the adapter."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.smefit.example.make import make, toy_dataset
from plugins.smefit.runcard import MODULE, main, with_unbinned
from smeft_unbinned.errors import InputError

CARD: dict[str, Any] = {
    "datasets": [
        {"name": "A", "order": "LO"},
        "B",
        {"name": "zh", "unbinned": "zh.safetensors", "scale": 400},
    ],
    "coefficients": {"OpW": {"min": -1, "max": 1}},
    "data_path": "tables/commondata",
}


def test_unbinned_entries_become_external_chi2(tmp_path: Path) -> None:
    out = with_unbinned(CARD, tmp_path)
    assert out["datasets"] == [{"name": "A", "order": "LO"}, {"name": "B"}]
    file = str(tmp_path / "zh.safetensors")
    assert out["external_chi2"] == {"zh": {"path": MODULE, "file": file, "scale": 400}}
    assert out["data_path"] == str(tmp_path / "tables/commondata")
    assert "theory_path" not in out
    assert (out["use_t0"], out["use_quad"], out["use_theory_covmat"]) == (False, True, True)
    assert len(CARD["datasets"]) == 3
    kept = with_unbinned({**CARD, "external_chi2": {"other": {"path": "x.py"}}, "use_t0": True})
    assert (list(kept["external_chi2"]), kept["use_t0"]) == (["other", "zh"], True)
    assert with_unbinned({**CARD, "data_path": ["tables"]}, tmp_path)["data_path"] == str(tmp_path / "tables")


def test_paths_default_to_the_tables_of_the_package() -> None:
    out = with_unbinned({"datasets": ["A"]})
    assert Path(out["data_path"]).parts[-2:] == ("theory_tables", "commondata")
    assert Path(out["theory_path"]).parts[-2:] == ("theory_tables", "theory")
    assert "external_chi2" not in out
    out = with_unbinned({"datasets": [{"name": "zh", "unbinned": "/a/zh"}]})
    assert "datasets" not in out
    assert out["external_chi2"]["zh"]["file"] == "/a/zh"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datasets": [{"unbinned": "x"}]}, "needs a name"),
        ({"datasets": [{"name": "_x", "unbinned": "x"}]}, "starts with '_'"),
        ({"external_chi2": {"zh": {}}}, "'zh' is given twice"),
        ({"rot_to_fit_basis": "rotation.json"}, "rot_to_fit_basis does not work"),
        ({"data_path": ["a", "b"]}, r"one folder as data_path, got \['a', 'b'\]; put the files into one"),
        ({"theory_path": [3]}, r"one folder as theory_path, got \[3\]"),
    ],
)
def test_wrong_cards_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_unbinned({**CARD, **change})


def test_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tmp_path / "fit.yaml"
    card.write_text(yaml.safe_dump(CARD), encoding="utf-8")
    out = yaml.safe_load(main([str(card)]))
    assert out["result_ID"] == "fit"
    assert out["external_chi2"]["zh"]["file"] == str(tmp_path / "zh.safetensors")
    for text, message in (("a: [", "not a readable YAML"), ("- 1", "found list")):
        card.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            main([str(card)])
    monkeypatch.setattr(sys, "argv", ["runcard"])
    monkeypatch.delitem(sys.modules, "plugins.smefit.runcard")
    with pytest.raises(SystemExit, match="2"):
        runpy.run_module("plugins.smefit.runcard", run_name="__main__")
    assert "usage" in capsys.readouterr().err


def test_example_is_one_fit_in_two_cards(tmp_path: Path) -> None:
    from smeft_unbinned.runcard import Runcard

    paths = make(tmp_path / "example", n_expected=200)
    ours = Runcard.load(paths["card.yaml"]).likelihood()
    theirs = Runcard.load(paths["smefit.yaml"]).likelihood()
    c = {"OpW": 0.2, "O3pq": -0.1, "OpqMi": 0.3}
    assert float(ours.m2logl(c)) == pytest.approx(float(theirs.m2logl(c)), rel=1e-12)


def test_example_dataset_has_the_yield_of_its_ratios() -> None:
    data, c = toy_dataset(n_expected=50_000), {"cHW": 0.3, "cHq3": 0.1, "cHq1": -0.2}
    mean = float(data.ratios.evaluate(c).mean())
    assert float(data.expected.evaluate(c)) / 50_000 == pytest.approx(mean, rel=0.02)
    assert float(data.expected.constant) == pytest.approx(50_000)
