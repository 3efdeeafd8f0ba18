"""Nuisances put into a dataset: yields that stay, slopes that vanish, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from smeft_unbinned import Events, InputError, Polynomial, UnbinnedDataset, export
from smeft_unbinned.events import Nuisances
from smeft_unbinned.systematics import with_responses


def responses(seed: int, n: int, names: tuple[str, ...] = ("jes", "scale")) -> Nuisances:
    rng = np.random.default_rng(seed)
    return Nuisances(names, rng.normal(0.05, 0.1, (n, 2)), rng.normal(0, 0.01, (n, 2)))


@pytest.fixture
def events(make_events: Callable[..., Events]) -> Events:
    return make_events(1, 300)


def test_asimov_data_are_at_their_minimum(events: Events) -> None:
    """nu(c, theta) and the data are the same sum over events, so every slope vanishes at the origin."""
    response = responses(2, 300)
    d = with_responses(export(None, events, luminosity=0.1), response, events, response, groups=300)
    error = np.sqrt(0.5 * np.diag(d.hessian({})))
    np.testing.assert_allclose(d.gradient({}) / error, 0.0, atol=1e-9)
    p = {"cHW": 0.2, "jes": 0.8, "scale": -0.4}
    rates = d.weights * d.ratios.evaluate({"cHW": 0.2}) * response.ratio({"jes": 0.8, "scale": -0.4})
    plain = 2 * (rates.sum() - d.weights.sum()) - 2 * np.sum(d.weights * np.log(rates / d.weights))
    assert d.m2logl(p) == pytest.approx(plain, rel=1e-9)


def test_few_groups_change_little(events: Events) -> None:
    response = responses(2, 300)
    bare = export(None, events, luminosity=0.1)
    all_, few = (with_responses(bare, response, events, response, groups=g) for g in (300, 60))
    p = {"cHW": 0.2, "jes": 0.8, "scale": -0.4}
    assert few.m2logl(p) == pytest.approx(float(all_.m2logl(p)), rel=0.02)


def test_the_yield_of_the_dataset_stays(events: Events) -> None:
    """A cross section from elsewhere is kept at theta = 0, for every c."""
    bare = export(None, events, luminosity=0.1)
    other = Polynomial(bare.operators, bare.expected.coefficients * np.linspace(0.9, 1.1, 10))
    bare = bare.replace(expected=other)
    d = with_responses(bare, responses(2, 300), events, responses(2, 300), groups=20)
    for c in ({"cHW": 0.3}, {"cHu": -0.2, "cHq3": 0.4}):
        assert d.m2logl(c) == pytest.approx(float(bare.m2logl(c)), rel=1e-10)


@pytest.mark.parametrize(
    ("names", "truth", "message"),
    [
        (("jes", "other"), True, "the simulated ones to jes, other; both need the same"),
        (("jes", "scale"), False, "needs simulated events with truth"),
    ],
)
def test_what_does_not_fit_is_refused(
    events: Events, names: tuple[str, ...], truth: bool, message: str
) -> None:
    bare: UnbinnedDataset = export(None, events, luminosity=0.1)
    simulated: Any = events if truth else Events(events.features)
    with pytest.raises(InputError, match=message):
        with_responses(bare, responses(1, 300), simulated, responses(1, 300, names))
