"""Nuisance parameters in a runcard: their block, profiling, and systematics that match by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from nuisance_double import Counting, counting

from smeft_unbinned import GaussianDataset, InputError, Likelihood, Runcard, minimise
from smeft_unbinned.constraints import NuisanceBlock
from smeft_unbinned.profiled import ProfiledLikelihood
from smeft_unbinned.runcard import READERS

DATA = {
    "num_data": 3,
    "num_sys": 3,
    "data_central": [10.0, 20.0, 15.0],
    "statistical_error": [1.0, 2.0, 1.0],
    "systematics": [[0.5, 0.6, 0.2], [0.3, -0.4, 0.6], [1.0, 2.0, 1.5]],
    "sys_names": ["UNCORR", "JES", "LUMI"],
    "sys_type": ["ADD", "MULT", "MULT"],
}
THEORY = {
    "best_sm": [11.0, 18.0, 15.0],
    "theory_cov": np.zeros((3, 3)).tolist(),
    "LO": {
        "SM": [10.0, 20.0, 15.0],
        "OpW": [1.0, 2.0, 0.5],
        "OpB": [1.0, -0.5, 1.0],
        "OpW*OpW": [0.1, 0.2, 0.3],
    },
}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """What the entry `counts` of the cards reads, with the nuisances scale and LUMI."""
    dataset = counting(1, ("OpW", "OpB"), ("scale", "LUMI"), "file")
    dataset.basis = "smefit"
    monkeypatch.setitem(READERS, "poisson", lambda path: dataset)
    return dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "binned.yaml").write_text(yaml.safe_dump(DATA))
    (tmp_path / "binned.json").write_text(json.dumps(THEORY))
    return tmp_path


def card(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "data_path": ".",
        "datasets": ["binned", {"name": "counts", "poisson": "counts.dataset"}],
        "coefficients": {"OpW": {"min": -5, "max": 5}, "OpB": {"min": -5, "max": 5}},
    }
    return {**content, **changes}


def test_a_systematic_becomes_the_nuisance_of_its_name(folder: Path, counts: Counting) -> None:
    likelihood = Runcard.from_dict(card(), folder).likelihood()
    binned = likelihood.datasets[0]
    assert [d.name for d in likelihood.datasets] == ["binned", "counts"]
    assert isinstance(binned, GaussianDataset)
    assert binned.nuisances == ("LUMI",)  # JES stays in the covariance
    assert likelihood.nuisances == ("LUMI", "scale")
    plain = GaussianDataset.load("binned", data_path=folder)
    np.testing.assert_allclose(
        plain.covariance - binned.covariance, binned.shifts.T @ binned.shifts, atol=1e-12
    )
    p = {"OpW": 0.3, "OpB": -0.1, "LUMI": 0.7, "scale": -0.4}
    by_hand = Likelihood([GaussianDataset.load("binned", data_path=folder, nuisances=["LUMI"]), counts])
    assert likelihood.m2logl(p) == pytest.approx(float(by_hand.m2logl(p)))


def test_without_a_match_the_covariance_is_whole(folder: Path) -> None:
    likelihood = Runcard.from_dict(card(datasets=["binned"]), folder).likelihood()
    assert likelihood.nuisances == ()
    named = Runcard.from_dict(card(datasets=["binned"], nuisances={"JES": {}}), folder).likelihood()
    assert named.nuisances == ("JES",)
    c = np.random.default_rng(1).normal(size=(4, 2))
    np.testing.assert_allclose(named.profiled().m2logl(c), likelihood.m2logl(c), rtol=1e-10)


def test_the_block_reaches_the_likelihood(folder: Path, counts: Counting) -> None:
    block = {
        "LUMI": {"constraint": [0.2, 0.5], "min": -2, "max": 2},
        "scale": {"constraint": None, "min": -3, "max": 3},
    }
    likelihood = Runcard.from_dict(card(nuisances=block), folder).likelihood()
    assert likelihood.constraints == {"LUMI": (0.2, 0.5), "scale": None}
    assert likelihood.bounds["scale"] == (-3.0, 3.0)
    fixed = Runcard.from_dict(card(nuisances={"scale": {"value": 0.4}}), folder).likelihood()
    assert fixed.parameters == ("OpW", "OpB", "LUMI")
    assert fixed.coefficients([0, 0, 0])["scale"] == 0.4
    both = Runcard.from_dict(card(profile=True), folder).likelihood()
    assert isinstance(both, ProfiledLikelihood)
    assert both.parameters == ("OpW", "OpB")
    joint = minimise(Runcard.from_dict(card(), folder).likelihood())
    np.testing.assert_allclose(
        minimise(both).intervals(0.95), joint.intervals(0.95).loc[["OpW", "OpB"]], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ([], "nuisances must be dict"),
        ({3: {}}, "a nuisance is called by a text"),
        ({"a": 3}, "nuisance a: expected keys"),
        ({"a": {"constrain": [0, 1]}}, "nuisance a: unknown key 'constrain'. Did you mean 'constraint'"),
        ({"a": {"constraint": [0, 0]}}, r"constraint of a must be \(centre, error\) with error > 0"),
        ({"a": {"constraint": 1}}, "constraint of a must be"),
        ({"a": {"value": "x"}}, "nuisance a: value must be a finite number, got 'x'"),
        ({"a": {"value": 1, "constraint": [0, 1]}}, "nuisance a: a fixed value leaves no room"),
        ({"a": {"min": 1}}, "nuisance a: give both min and max"),
        ({"a": {"min": 1, "max": 0}}, "nuisance a: the prior range .* is empty"),
    ],
)
def test_mistakes_are_named(block: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Runcard.from_dict(card(nuisances=block))
    with pytest.raises(InputError, match="profile must be bool, got 1"):
        Runcard.from_dict(card(profile=1))


def test_a_nuisance_of_no_dataset_is_refused(folder: Path, counts: Counting) -> None:
    for block in ({"LUMY": {}}, {"LUMY": {"value": 0.0}}, {"LUMY": {"constraint": [0, 1]}}):
        wrong = Runcard.from_dict(card(nuisances=block), folder)
        with pytest.raises(InputError, match=r"nuisance 'LUMY' of the card; .*Did you mean 'LUMI'"):
            wrong.likelihood()


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
keys = st.sampled_from(["min", "max", "constraint", "value"]) | scalars
anything = st.recursive(
    scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(keys, x, max_size=3), max_leaves=12
)


@given(st.dictionaries(keys, anything, max_size=4))
def test_random_blocks_are_read_or_refused(block: dict[Any, Any]) -> None:
    try:
        parsed = NuisanceBlock.parse(block)
    except InputError:
        return
    assert {*parsed.constraints, *parsed.fixed, *parsed.bounds} <= set(block)
