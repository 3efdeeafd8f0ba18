"""The template keeps the contract that it explains, its example runs, and it refuses what it should."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from plugins.template import FITTER
from plugins.template.adapter import UnbinnedTerm
from plugins.template.example.make import make
from smeft_unbinned import InputError, UnbinnedDataset
from smeft_unbinned.testing import CHECKS, Adapter, Check, toy_dataset

NAMES = ("cHW", "cHq3", "cHu")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("units", ["TeV^-2", "GeV^-2"])
def test_contract(check: Check, units: str, tmp_path: Path) -> None:
    def adapter(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        dataset.save(tmp_path / "toy.dataset")
        term = UnbinnedTerm(tmp_path / "toy.dataset", names, units=units)
        return Adapter(term.chi2, units, gradient=term.slope)

    check(adapter, NAMES, "warsaw")


def test_the_example_finds_the_minimum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    paths = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(paths["fit.py"].read_text(encoding="utf-8"), "fit.py", "exec"), {})
    assert "'cHW'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scales": 1.0}, "unknown key 'scales'"),
        ({"scale": 500.0}, "given at 500 GeV, but the dataset has the scale 1000"),
        ({"units": "GeV"}, "unknown units 'GeV'"),
        ({"basis": "warszawa"}, "unknown basis 'warszawa'"),
        ({"names": ["cXX"]}, "no coefficient of the fit"),
        ({"names": ["cHW", "cHW"]}, "named twice: cHW"),
    ],
)
def test_bad_input(options: dict[str, object], match: str, tmp_path: Path) -> None:
    toy_dataset(NAMES, "warsaw").save(tmp_path / "toy.dataset")
    with pytest.raises(InputError, match=match):
        UnbinnedTerm(tmp_path / "toy.dataset", **{"names": NAMES, **options})  # type: ignore[arg-type]


def test_by_name_and_by_place_agree(tmp_path: Path) -> None:
    toy_dataset(NAMES, "warsaw").save(tmp_path / "toy.dataset")
    term = UnbinnedTerm(tmp_path / "toy.dataset", NAMES)
    assert term.chi2_of({"cHq3": 0.2}) == term.chi2(np.array([0.0, 0.2, 0.0]))


def test_the_fitter_of_the_template_is_there() -> None:
    FITTER.require()
    assert FITTER.works
