"""The toy with and without a detector, smearing of any sample, and the observables of WH."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from smeft_unbinned import Events
from smeft_unbinned.errors import InputError
from smeft_unbinned.processes import toy, vh
from smeft_unbinned.processes.smearing import Resolution, smear
from smeft_unbinned.processes.wh_observables import wh_observables


@pytest.mark.parametrize("smearing", [0.0, 0.4, 2.0])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_toy_ratio_is_the_ratio_of_densities(smearing: float, alpha: float) -> None:
    x = np.linspace(-4.0, 4.0, 9)
    r = toy.ratio(x, alpha=alpha, smearing=smearing)
    for theta in (-1.5, 0.0, 0.3):
        sm = norm.pdf(x, 0.0, np.hypot(toy.SM_WIDTH, smearing))
        new = norm.pdf(x, alpha, np.hypot(toy.EFT_WIDTH, smearing))
        density = (sm + theta**2 * new) / (1.0 + theta**2)
        expected = (1.0 + theta**2) * density / sm
        np.testing.assert_allclose(r.evaluate({"theta": theta}), expected, rtol=1e-12)


def test_toy_ratio_is_the_mean_label() -> None:
    """r(x) = E[R(z)|x], by numerical integration over z."""
    smearing = 0.7
    for x in (-2.0, 0.3, 1.8):

        def weight(z: float, x: float = x) -> float:
            return float(norm.pdf(z, 0.0, toy.SM_WIDTH) * norm.pdf(x - z, 0.0, smearing))

        top = quad(lambda z: weight(z) * float(toy.ratio(z).coefficients[0, 2]), -12.0, 12.0)[0]
        mean = top / quad(weight, -12.0, 12.0)[0]
        assert toy.ratio(x, smearing=smearing).coefficients[0, 2] == pytest.approx(mean, rel=1e-7)


def test_toy_labels_differ_from_the_ratio_but_average_to_it() -> None:
    events = toy.generate(200_000, seed=2, smearing=0.8)
    x, label = events.column("x"), np.asarray(events.truth.coefficients)[:, 2]
    exact = np.asarray(toy.ratio(x, smearing=0.8).coefficients)[:, 2]
    assert np.std(label - exact) > 0.3
    for low, high in ((-3.0, -1.0), (-1.0, 0.0), (0.0, 1.0), (1.0, 3.0)):
        chosen = (x >= low) & (x < high)
        difference = (label - exact)[chosen]
        assert abs(difference.mean()) < 4.5 * difference.std() / np.sqrt(chosen.sum())
    plain = toy.generate(100, seed=2)
    np.testing.assert_array_equal(plain.truth.coefficients, toy.truth(plain.features).coefficients)


def test_toy_mistakes() -> None:
    with pytest.raises(InputError, match="standard deviation"):
        toy.generate(5, seed=1, smearing=-1.0)
    with pytest.raises(InputError, match="need the column 'x'"):
        toy.truth({"y": [1.0]})
    with pytest.raises(InputError, match="finite"):
        toy.ratio([np.nan])


@pytest.fixture(scope="module")
def events() -> Events:
    return vh.generate(4_000, seed=3, operators=("cHW", "cHWtil"))


def test_smear(events: Events) -> None:
    resolutions = {
        "pt_z": Resolution(stochastic=0.8, constant=0.02, limits=(0.0, np.inf)),
        "cos_theta_l": Resolution(absolute=0.3, limits=(-1.0, 1.0)),
        "phi_l": Resolution(absolute=0.5, period=2.0 * np.pi),
    }
    copies = 25
    out = smear(events, resolutions, seed=4, copies=copies)
    again = smear(events, resolutions, seed=4, copies=copies)
    pd.testing.assert_frame_equal(out.features, again.features, check_exact=True)
    assert len(out) == copies * len(events)
    np.testing.assert_allclose(np.sum(out.weights), np.sum(events.weights), rtol=1e-12)
    np.testing.assert_array_equal(out.truth.coefficients[::copies], events.truth.coefficients)
    np.testing.assert_array_equal(out.column("m_zh")[::copies], events.column("m_zh"))
    assert out.cross_section is events.cross_section
    assert "R(z)" in out.metadata["truth"]
    pt = np.repeat(events.column("pt_z"), copies)
    pull = (out.column("pt_z") - pt) / (0.8 * np.sqrt(pt) + 0.02 * pt)
    far = pt > 60.0
    assert abs(pull[far].mean()) < 5.0 / np.sqrt(far.sum())
    assert pull[far].std() == pytest.approx(1.0, abs=5.0 / np.sqrt(far.sum()))
    assert out.column("pt_z").min() >= 0.0
    assert np.all(np.abs(out.column("cos_theta_l")) <= 1.0)
    assert np.all(np.abs(out.column("phi_l")) <= np.pi)
    turn = np.cos(out.column("phi_l") - np.repeat(events.column("phi_l"), copies))
    assert turn.mean() == pytest.approx(np.exp(-0.125), abs=5e-3)


def test_smearing_reproduces_the_closed_form_of_the_toy() -> None:
    noisy = smear(toy.generate(100_000, seed=1), {"x": Resolution(absolute=0.8)}, seed=2)
    assert noisy.column("x").std() == pytest.approx(np.hypot(toy.SM_WIDTH, 0.8), rel=0.01)
    difference = np.asarray(noisy.truth.coefficients)[:, 2]
    difference = difference - np.asarray(toy.ratio(noisy.column("x"), smearing=0.8).coefficients)[:, 2]
    chosen = np.abs(noisy.column("x") - 1.0) < 1.0
    assert abs(difference[chosen].mean()) < 4.5 * difference[chosen].std() / np.sqrt(chosen.sum())


def test_smearing_mistakes(events: Events) -> None:
    with pytest.raises(InputError, match="Did you mean 'pt_z'"):
        smear(events, {"pt": Resolution()}, seed=1)
    with pytest.raises(InputError, match="at least 1"):
        smear(events, {}, seed=1, copies=0)
    for options in ({"constant": -1.0}, {"limits": (1.0, 0.0)}, {"period": 0.0}):
        with pytest.raises(InputError):
            Resolution(**options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not both"):
        Resolution(limits=(0.0, 1.0), period=1.0)


@pytest.fixture(scope="module")
def wh() -> Events:
    return vh.generate(100_000, process="WH", seed=6, operators=("cHWtil",))


def test_wh_observables(wh: Events) -> None:
    frame, seen = wh.features, wh_observables(wh.features)
    np.testing.assert_allclose(seen["pt_w"], frame["pt_w"], atol=1e-8)
    assert seen["m_t"].max() < 80.387 + 1e-6  # the edge of the W
    short = frame["charge"] * np.sign(frame["y_wh"]) * np.sqrt(1.0 - frame["cos_theta_l"] ** 2)
    np.testing.assert_allclose(seen["q_cos_delta"], short * np.sin(frame["phi_l"]), atol=1e-9)
    with pytest.raises(InputError, match="charge"):
        wh_observables(frame.drop(columns="charge"))


def test_charge_weighted_angle_measures_the_sign_of_a_cp_odd_coefficient(wh: Events) -> None:
    """Sign asymmetry of q_cos_delta: zero in the SM, linear in cHWtil, 0.206 per TeV^-2 at 14 TeV."""
    sign = np.sign(wh_observables(wh.features)["q_cos_delta"].to_numpy())
    slope = np.asarray(wh.truth.linear)[:, 0] * sign
    error = slope.std() / np.sqrt(len(slope))
    assert slope.mean() == pytest.approx(0.206, abs=4.5 * error)
    assert abs(sign.mean()) < 4.5 / np.sqrt(len(sign))
    assert slope.mean() > 30.0 * error
    for c in (-0.3, 0.3):
        rate = np.asarray(wh.truth.evaluate({"cHWtil": c}))
        asymmetry = np.mean(rate * sign) / rate.mean()
        assert np.sign(asymmetry) == np.sign(c)
        assert asymmetry * rate.mean() == pytest.approx(c * 0.206, abs=0.02)
    inclusive = float(wh.cross_section.linear[0])
    assert abs(inclusive) < 1e-12 * float(wh.cross_section.constant)


def test_the_angle_without_the_charge_is_weaker(wh: Events) -> None:
    charge = wh.column("charge")
    angle = np.sign(wh_observables(wh.features)["q_cos_delta"].to_numpy())
    linear = np.asarray(wh.truth.linear)[:, 0]
    assert abs(np.mean(linear * angle * charge)) < 0.6 * abs(np.mean(linear * angle))
