"""L-GATr: its inputs, its symmetry, and that it learns pp -> ZH from four-momenta."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from smeft_unbinned import Estimator, Events, InputError, train
from smeft_unbinned.estimators.backbones import LGATr
from smeft_unbinned.estimators.momenta import Momenta, four_momenta, grouped
from smeft_unbinned.events import kinematics
from smeft_unbinned.processes.vh_kinematics import boost, momenta

pytest.importorskip("lgatr", reason="the lgatr extra is not installed")

PARTICLES = ("lm", "lp", "h")
TINY: dict[str, Any] = {
    "backbone": {"name": "lgatr", "blocks": 1, "multivectors": 2, "scalars": 4, "heads": 1, "ratio": 1},
    "operators": ("cHq3",), "replicas": 2, "epochs": 2, "batch": 256, "seed": 3,
}  # fmt: skip


def frame_of(p: np.ndarray) -> pd.DataFrame:
    """Return the features of momenta (N, P, 4), (E, px, py, pz)."""
    columns = (f"{label}_{q}" for label in PARTICLES[: p.shape[1]] for q in ("E", "px", "py", "pz"))
    return pd.DataFrame(dict(zip(columns, p.reshape(len(p), -1).T, strict=True)))


def with_momenta(events: Events) -> Events:
    azimuth = np.random.default_rng(1).uniform(-np.pi, np.pi, len(events))
    return replace(events, features=frame_of(np.stack(momenta(events.features, azimuth=azimuth), axis=1)))


@pytest.fixture(scope="module")
def events(zh_events: Events) -> Events:
    return with_momenta(zh_events)


@pytest.fixture(scope="module")
def p(events: Events) -> np.ndarray:
    return four_momenta(events.features[:200], grouped(list(events.features)))


def turned(p: np.ndarray, angle: float = 0.7) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.stack(
        [p[..., 0], c * p[..., 1] - s * p[..., 2], s * p[..., 1] + c * p[..., 2], p[..., 3]], axis=-1
    )


def boosted(p: np.ndarray, velocity: tuple[float, float, float]) -> np.ndarray:
    v = np.tile(velocity, (len(p), 1))
    return np.stack([boost(p[:, k], v) for k in range(p.shape[1])], axis=1)


def outputs(options: LGATr, map_: Momenta, p: np.ndarray, seed: int = 1) -> np.ndarray:
    x = map_(frame_of(p))
    generators = [torch.Generator().manual_seed(seed + m) for m in range(2)]
    parameters = options.initialise(x.shape[1:], 5, generators)
    return options.predict([q.numpy() for q in parameters], x, 5)


ALONG, ACROSS = (0.0, 0.0, 0.4), (0.3, -0.2, 0.1)


@pytest.mark.parametrize(
    ("options", "kept", "broken"),
    [
        (LGATr(), [turned], [lambda p: boosted(p, ALONG), lambda p: boosted(p, ACROSS)]),
        (LGATr(rest=False), [turned, lambda p: boosted(p, ALONG)], [lambda p: boosted(p, ACROSS)]),
        (LGATr(beam="lightlike"), [turned], [lambda p: boosted(p, ALONG), lambda p: boosted(p, ACROSS)]),
        (LGATr(beam="none"), [turned, lambda p: p[..., [0, 3, 1, 2]]], [lambda p: boosted(p, ALONG)]),
        (LGATr(beam="none", rest=False), [lambda p: boosted(p, ALONG), lambda p: boosted(p, ACROSS)], []),
    ],
)  # fmt: skip
def test_outputs_change_under_the_broken_transformations_alone(
    events: Events, p: np.ndarray, options: LGATr, kept: list[Any], broken: list[Any]
) -> None:
    map_ = Momenta.fit(events.features)
    before = outputs(options, map_, p)
    size = before.std(axis=1).max()
    assert size > 1e-3
    for change in kept:
        np.testing.assert_allclose(outputs(options, map_, change(p)), before, atol=2e-3 * size)
    for change in broken:
        assert np.abs(outputs(options, map_, change(p)) - before).max() > 0.02 * size


def test_the_growth_does_not_see_boosts_along_the_beam(events: Events, p: np.ndarray) -> None:
    map_ = Momenta.fit(events.features)
    before = map_.summary(frame_of(p))
    assert before.shape == (200, 4)
    for after in (turned(p), boosted(p, ALONG)):
        np.testing.assert_allclose(map_.summary(frame_of(after)), before, atol=1e-9)


def test_both_sets_of_features_give_the_same_momenta(p: np.ndarray) -> None:
    """The functions of the readers undo what the grouping of features does."""
    q = p[..., [1, 2, 3, 0]]
    for angle, functions in (
        ("eta", ("pt", "eta", "phi", "mass")),
        ("rapidity", ("pt", "rapidity", "phi", "mass")),
        ("eta", ("pt", "eta", "phi", "energy")),
        ("rapidity", ("pt", "rapidity", "phi", "energy")),
    ):
        frame = pd.DataFrame({f"{f}[h1]": getattr(kinematics, f)(q[:, 2]) for f in functions})
        groups = grouped(list(frame))
        assert set(groups) == {"h1"}
        assert angle in groups["h1"]
        np.testing.assert_allclose(four_momenta(frame, groups)[:, 0], p[:, 2], rtol=1e-9, atol=1e-7)
    light = pd.DataFrame({f"Jet_{f}[0]": getattr(kinematics, f)(q[:, 0]) for f in ("pt", "eta", "phi")})
    np.testing.assert_allclose(four_momenta(light, grouped(list(light)))[:, 0], p[:, 0], rtol=1e-6, atol=1e-5)


def test_inputs_are_momenta_over_the_total_mass_and_numbers(zh_events: Events, events: Events) -> None:
    frame = events.features.assign(cos_theta_star=zh_events.features["cos_theta_star"])
    map_ = Momenta.fit(frame)
    x = map_(frame)
    assert x.shape == (4000, 3, 4 + 1 + 2)  # log mass; the cosine and the sine
    scale = np.hypot(zh_events.features["m_zh"], map_.floor)
    np.testing.assert_allclose(x[:, 2, 0], frame["h_E"] / scale, rtol=1e-6)
    np.testing.assert_allclose(x[:, :, 4].std(axis=0), 1.0, rtol=1e-9)
    again = Momenta.from_manifest(json.loads(json.dumps(map_.manifest(), sort_keys=True)))
    np.testing.assert_array_equal(again(frame), x)
    np.testing.assert_array_equal(again.summary(frame), map_.summary(frame))
    assert again.names == tuple(frame.columns)


def test_a_member_depends_on_its_own_generator_alone() -> None:
    options = LGATr(blocks=1)
    state = torch.random.get_rng_state()
    seeds = lambda *numbers: [torch.Generator().manual_seed(n) for n in numbers]  # noqa: E731
    both, second = options.initialise((3, 6), 2, seeds(1, 2)), options.initialise((3, 6), 2, seeds(2))
    for a, b in zip(both, second, strict=True):
        assert torch.equal(a[1], b[0])
    x = torch.randn(8, 3, 6, generator=torch.Generator().manual_seed(1)).abs() + torch.tensor(
        [3.0, *[0.0] * 5]
    )
    shared = options.forward(both, x, 2)
    own = options.forward(both, torch.stack([x, x.flip(0)]), 2)
    torch.testing.assert_close(own, torch.stack([shared[0], shared[1].flip(0)]))
    assert not torch.allclose(shared[0], shared[1])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.slow
def test_ratios_are_learned_from_momenta(events: Events) -> None:
    learn, check = events[:3000], events[3000:]
    e = train(
        learn, backbone={"name": "lgatr", "blocks": 1}, operators=["cHW", "cHq3"], replicas=1, epochs=6,
        batch=256, seed=1,
    )  # fmt: skip
    points = np.array([[0.0, 0.1], [0.0, -0.05], [0.3, 0.0], [0.2, 0.05]])
    truth = check.truth.restrict(["cHW", "cHq3"])
    found, exact = (np.log(r.evaluate(points)) for r in (e(check.features), truth))
    share = (found - exact).var(axis=1) / exact.var(axis=1)
    assert np.all(share[:2] < 0.05)
    assert np.all(share < 0.6)


def test_a_saved_estimator_predicts_the_same(events: Events, tmp_path: Path) -> None:
    e = train(events, **TINY, checkpoint=tmp_path / "checkpoint")
    e.save(tmp_path / "e.safetensors")
    loaded = Estimator.load(tmp_path / "e.safetensors")
    frame = events.features[:100]
    np.testing.assert_array_equal(loaded(frame).coefficients, e(frame).coefficients)
    assert loaded.features == tuple(events.features)
    part = train(events, **TINY, members=[1])
    np.testing.assert_allclose(
        part.replicas(frame).dense().coefficients[0],
        e.replicas(frame).dense().coefficients[1],
        rtol=1e-3,
        atol=1e-5,
    )
    again = train(events, **TINY, checkpoint=tmp_path / "checkpoint")  # nothing is left to do
    for a, b in zip(again.parameters, e.parameters, strict=True):
        np.testing.assert_array_equal(a, b)
    other = replace(e, parameters=e.parameters[:-1])
    with pytest.raises(InputError, match="do not fit the layers of the installed package lgatr"):
        other(frame)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["pt_z", "m_zh"], r"the features make up none.*no feature is named so\. Given: pt_z, m_zh"),
        (["pt[h]", "phi[h]"], r"h has only pt\[h\], phi\[h\]"),
        (["h_E", "h_px", "h_pz"], r"x is given by x_E, x_px, x_py, x_pz, .* h has only h_E, h_px, h_pz"),
    ],
)  # fmt: skip
def test_features_without_momenta_are_refused(make_events: Any, columns: list[str], message: str) -> None:
    sample = make_events()
    frame = pd.DataFrame(np.random.default_rng(1).random((len(sample), len(columns))), columns=columns)
    with pytest.raises(InputError, match=message):
        train(replace(sample, features=frame), backbone="lgatr")


def test_momenta_that_cannot_be_are_refused(events: Events) -> None:
    frame = events.features.copy()
    map_ = Momenta.fit(frame)
    with pytest.raises(InputError, match="needs feature 'lm_px'"):
        map_(frame.drop(columns="lm_px"))
    frame.loc[7, "lp_E"] = 0.0
    with pytest.raises(InputError, match="particle 'lp' has the energy 0 in event 7; it must be positive"):
        map_(frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"blocks": 0}, "blocks must be at least 1"), ({"beam": "x"}, "beam is one of plane, lightlike, none")],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LGATr(**options)


def test_a_missing_lgatr_is_named(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lgatr", None)
    with pytest.raises(InputError, match=r"needs the package 'lgatr'.*smeft-unbinned\[lgatr\]"):
        train(events, **TINY)
