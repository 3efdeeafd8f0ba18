"""Feature map and growth: what they do to known samples, and unusable features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import InputError
from smeft_unbinned.estimators.features import FeatureMap
from smeft_unbinned.estimators.growth import Growth, emphasised


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "pt": rng.exponential(100.0, 500),
            "eta": rng.normal(size=500),
            "phi_l": rng.uniform(-np.pi, np.pi, 500),
            "minus": -rng.exponential(1.0, 500),
        }
    )


def test_kinds_are_chosen_by_shape_and_name(frame: pd.DataFrame) -> None:
    m = FeatureMap.fit(frame.assign(phi_degrees=57.3 * frame["phi_l"], delta_phi=0.5 * frame["phi_l"]))
    kinds = dict(zip(m.names, m.kinds, strict=True))
    assert kinds == {
        "pt": "log", "eta": "plain", "phi_l": "angle", "minus": "plain", "phi_degrees": "plain",
        "delta_phi": "angle",
    }  # fmt: skip


def test_inputs_have_zero_mean_and_unit_variance(frame: pd.DataFrame) -> None:
    x = FeatureMap.fit(frame)(frame)
    assert x.shape == (500, 1 + 1 + 4 + 1)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=0), 1)
    logs = np.log(frame["pt"])
    np.testing.assert_allclose(x[:, 0], (logs - logs.mean()) / logs.std(ddof=0))


def test_both_ends_of_an_angle_are_one_place(frame: pd.DataFrame) -> None:
    m = FeatureMap.fit(frame)
    ends = pd.concat([frame.iloc[:1]] * 2).assign(phi_l=[-np.pi, np.pi])
    a, b = m(ends)
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_columns_are_found_by_name(frame: pd.DataFrame) -> None:
    m = FeatureMap.fit(frame)
    np.testing.assert_array_equal(m(frame[["minus", "phi_l", "pt", "eta"]].assign(extra=1.0)), m(frame))


def test_the_manifest_rebuilds_the_map(frame: pd.DataFrame) -> None:
    m = FeatureMap.fit(frame)
    np.testing.assert_array_equal(FeatureMap.from_manifest(m.manifest())(frame), m(frame))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="eta"), "needs feature 'eta'; given: pt, phi_l, minus"),
        (lambda f: f.rename(columns={"pt": "pT"}), "needs feature 'pt'.*Did you mean 'pT'"),
        (lambda f: f.assign(eta=np.nan), "feature 'eta' is not finite in 500 of 500 events"),
        (lambda f: f.assign(pt=-1.0), "'pt' enters as its logarithm .*is -1 in event 0; check"),
    ],
)
def test_features_that_do_not_fit_are_refused(frame: pd.DataFrame, change, message: str) -> None:
    m = FeatureMap.fit(frame)
    with pytest.raises(InputError, match=message):
        m(change(frame))


def test_a_constant_feature_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="feature eta is the same in all events; remove it"):
        FeatureMap.fit(frame.assign(eta=1.0))


def test_growth_finds_an_exponential_of_a_parabola() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2000, 2))
    log_g = np.stack([1 + x[:, 0] - 0.5 * x[:, 1] + 0.1 * x[:, 0] * x[:, 1], -2 + 0.3 * x[:, 1] ** 2], axis=1)
    growth = Growth.fit(x, np.exp(2 * log_g))
    np.testing.assert_allclose(growth(x), np.exp(log_g), rtol=1e-3)


def test_growth_stops_at_the_edge_of_the_sample() -> None:
    x = np.linspace(0, 1, 100)[:, None]
    growth = Growth.fit(x, np.exp(4 * x))
    np.testing.assert_allclose(growth(np.array([[50.0]])), growth(np.array([[1.0]])))
    np.testing.assert_allclose(growth(np.array([[-50.0]])), growth(np.array([[0.0]])))


def test_a_coefficient_without_effect_has_unit_growth() -> None:
    x = np.random.default_rng(3).normal(size=(50, 1))
    np.testing.assert_allclose(Growth.fit(x, np.zeros((50, 1)))(x), 1.0)


def test_emphasis_has_mean_one_and_follows_the_geometric_mean() -> None:
    g = np.array([[1.0, 4.0], [2.0, 8.0]])
    e = emphasised(np.array([1.0, 3.0]), g)
    np.testing.assert_allclose(e, np.array([2.0, 12.0]) / 7.0)
