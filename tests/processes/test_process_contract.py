"""What every process of the registry must satisfy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events
from smeft_unbinned.errors import InputError
from smeft_unbinned.processes import PROCESSES, find, hadronic, ttbar
from smeft_unbinned.processes.protocol import METADATA

SAMPLES = [(name, {}) for name in PROCESSES]
SAMPLES += [
    (name, {"unweighted": False, "pt_min": 50.0, "energy": 13_600.0})
    for name in PROCESSES
    if hadronic(find(name))
]
IDS = [f"{name}-{'weighted' if options else 'default'}" for name, options in SAMPLES]


@pytest.fixture(scope="module", params=SAMPLES, ids=IDS)
def sample(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any], Events]:
    name, options = request.param
    return name, options, PROCESSES[name].generate(20_000, seed=5, **options)


def test_truth_is_one_at_the_sm_and_positive(sample: tuple[str, dict[str, Any], Events]) -> None:
    events = sample[2]
    np.testing.assert_array_equal(np.asarray(events.truth.constant), 1.0)
    matrix = np.asarray(events.truth.matrix())
    trace = np.trace(matrix, axis1=1, axis2=2)
    assert np.min(np.linalg.eigvalsh(matrix) / trace[:, None]) >= -1e-14


def test_mean_truth_is_the_ratio_of_cross_sections(sample: tuple[str, dict[str, Any], Events]) -> None:
    events = sample[2]
    sigma, weights = events.cross_section, np.asarray(events.weights)
    rng = np.random.default_rng(3)
    for c in rng.normal(scale=0.2, size=(10, len(events.operators))):
        terms = weights * np.asarray(events.truth.evaluate(c))
        error = np.sqrt(np.sum((terms - weights * terms.sum() / weights.sum()) ** 2))
        assert abs(terms.sum() - sigma.evaluate(c)) < 4.5 * error


def test_weights_sum_to_the_cross_section(sample: tuple[str, dict[str, Any], Events]) -> None:
    events = sample[2]
    assert np.sum(events.weights) == pytest.approx(float(events.cross_section.constant), rel=1e-12)


def test_truth_of_the_features_is_the_truth_of_the_events(
    sample: tuple[str, dict[str, Any], Events],
) -> None:
    name, options, events = sample
    energy = {"energy": options["energy"]} if "energy" in options else {}
    part = events[:500]
    again = PROCESSES[name].truth(part.features, **energy)
    scale = np.abs(np.asarray(part.truth.coefficients)).max(axis=1, keepdims=True)
    np.testing.assert_allclose(again.coefficients / scale, part.truth.coefficients / scale, atol=1e-8)


def test_metadata(sample: tuple[str, dict[str, Any], Events]) -> None:
    name, options, events = sample
    assert tuple(events.features) == PROCESSES[name].columns()
    assert events.operators == PROCESSES[name].DEFAULT
    assert set(METADATA) <= set(events.metadata)
    assert events.metadata["process"] == name
    assert events.metadata["seed"] == 5
    if hadronic(PROCESSES[name]):
        assert events.metadata["energy"] == options.get("energy", events.metadata["energy"]) > 1e3
        assert math.isfinite(events.metadata["scale"])
    if hadronic(PROCESSES[name]) and name in PROCESSES.own:
        assert 200.0 < events.metadata["scale"] < 1000.0
        assert math.isfinite(events.metadata["input_scheme"]["mt" if name == "ttbar" else "mZ"])


@pytest.mark.parametrize("name", PROCESSES)
def test_seeds(name: str) -> None:
    process = PROCESSES[name]
    first, again, other = (process.generate(300, seed=seed) for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(first.features, again.features, check_exact=True)
    np.testing.assert_array_equal(first.truth.coefficients, again.truth.coefficients)
    assert not np.any(other.features.iloc[:, 0] == first.features.iloc[:, 0])


@pytest.mark.parametrize("name", PROCESSES)
def test_operators_can_be_chosen(name: str) -> None:
    process = PROCESSES[name]
    assert set(process.DEFAULT) <= set(process.OPERATORS)
    one = process.OPERATORS[-1:]
    events = process.generate(50, seed=1, operators=one)
    assert events.operators == one
    assert process.cross_section(operators=one).operators == one
    assert process.truth(events.features, operators=one).operators == one
    for call in (process.cross_section, lambda **o: process.generate(5, seed=1, **o)):
        with pytest.raises(InputError, match="unknown operator 'nothing'"):
            call(operators=("nothing",))
        with pytest.raises(InputError, match="repeated"):
            call(operators=one * 2)
    with pytest.raises(InputError, match="at least 1"):
        process.generate(0, seed=1)


def test_find() -> None:
    assert find("TTBAR") is ttbar
    assert find("zh") is PROCESSES["ZH"]
    with pytest.raises(InputError, match="Did you mean 'ttbar'"):
        find("ttbr")
