"""to_onnx: onnxruntime gives what the estimator gives, for every head and kind of feature."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Estimator, Events, InputError, train
from smeft_unbinned.estimators.backbones import MLP
from smeft_unbinned.estimators.heads import HEADS, Quadratic
from smeft_unbinned.estimators.onnx_export import check, random_features, to_onnx
from smeft_unbinned.polynomial import pack
from smeft_unbinned.processes import toy

onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")

NETWORKS: dict[str, dict[str, Any]] = {
    "products": {},
    "plain": {"products": 0},
    "separate": {"separate": True},
    "separate without products": {"separate": True, "products": 0},
}
HIDDEN = {"hidden": (8, 6), "replicas": 2, "epochs": 2}
LOSSES = {"squares": "derivative", "quadratic": "derivative", "morphing": "alices", "linear": "sally"}
ROUNDING = 5e-6  # of float32 networks, relative to the natural size of a coefficient


@pytest.fixture(scope="module")
def sample(zh_events: Events) -> Events:
    return zh_events[:800]


@pytest.fixture(scope="module")
def simple(sample: Events) -> Estimator:
    return train(sample, seed=1, **HIDDEN)


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(path: Path, estimator: Estimator, frame: pd.DataFrame) -> list[np.ndarray]:
    values = frame[list(estimator.features)].to_numpy(float)
    return [np.asarray(a) for a in session(path).run(None, {"features": values})]


def shifted(estimator: Estimator, seed: int) -> Estimator:
    """Another calibration and last bias, so that none of them is close to one that does nothing."""
    rng = np.random.default_rng(seed)
    offset = 0.3 * rng.normal(size=estimator.calibration.shape)
    offset[:, :, 0] = 0.0
    bias = (0.5 * rng.normal(size=estimator.parameters[-1].shape)).astype(np.float32)
    changed = replace(estimator, parameters=(*estimator.parameters[:-1], estimator.parameters[-1] + bias))
    return changed.calibrated(np.eye(offset.shape[-1]) + offset)


def monomials(x: np.ndarray) -> np.ndarray:
    full = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    return np.asarray(pack(full[:, :, None] * full[:, None, :]))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("head", HEADS.own)
def test_every_head_and_network_on_zh(sample: Events, tmp_path: Path, head: str, network: str) -> None:
    options = {**HIDDEN, **NETWORKS[network]}
    estimator = shifted(train(sample, loss=LOSSES[head], head=head, seed=3, **options), 1)
    assert set(estimator.inputs.manifest()["kinds"]) == {"log", "plain", "cosine", "angle"}
    path = to_onnx(estimator, tmp_path / "zh.onnx", members=True)
    mean, members = run(path, estimator, sample.features)
    growth = estimator.growth(estimator.inputs(sample.features))
    expected = estimator.replicas(sample.features).dense().coefficients
    assert members.shape == expected.shape == (2, 800, 10)
    assert mean.dtype == members.dtype == np.float64
    size = np.maximum(np.abs(expected), monomials(growth))
    assert np.max(np.abs(members - expected) / size) < ROUNDING
    assert np.max(np.abs(mean - estimator(sample.features).dense().coefficients) / size[0]) < ROUNDING
    assert check(path, estimator, random_features(estimator, 300, seed=2)) < ROUNDING


@pytest.mark.parametrize("head", HEADS.own)
@pytest.mark.parametrize("separate", [False, True])
def test_one_operator_and_one_feature(tmp_path: Path, head: str, separate: bool) -> None:
    events = toy.generate(600, seed=1)
    estimator = shifted(_toy(events, head, separate), 2)
    path = to_onnx(estimator, tmp_path / "toy.onnx")
    assert [output.name for output in session(path).get_outputs()] == ["coefficients"]
    assert check(path, estimator, events.features) < ROUNDING


def _toy(events: Events, head: str, separate: bool) -> Estimator:
    """The toy has no interference, from which a linear head could learn: it gets half a quadratic network."""
    if head != "linear":
        return train(events, loss=LOSSES[head], head=head, separate=separate, seed=1, **HIDDEN)
    whole = train(events, head="quadratic", separate=separate, seed=1, **HIDDEN)
    *hidden, weight, bias = whole.parameters
    first = (*hidden, weight[..., :1], bias[..., :1])
    first = tuple(p[:, :1] for p in whole.parameters) if separate else first
    return replace(whole, head=HEADS[head](), parameters=first)


@pytest.mark.parametrize("head", HEADS.own)
def test_all_but_the_network_is_double_precision(sample: Events, tmp_path: Path, head: str) -> None:
    """With a network that is constant, nothing rounds to float32."""
    trained = shifted(train(sample, loss=LOSSES[head], head=head, seed=3, **HIDDEN), 1)
    *hidden, weight, bias = trained.parameters
    estimator = replace(trained, parameters=(*hidden, np.zeros_like(weight), bias))
    path = to_onnx(estimator, tmp_path / "constant.onnx", members=True)
    assert check(path, estimator, sample.features) < 1e-12


def test_closed_form_of_the_linear_head(sample: Events, tmp_path: Path) -> None:
    """A constant network of outputs l: r = 1 + sum_i c_i (l_i g_i(x) + 2 b_i)."""
    trained = shifted(train(sample, loss="sally", head="linear", seed=3, **HIDDEN), 1)
    *hidden, weight, bias = trained.parameters
    estimator = replace(trained, parameters=(*hidden, np.zeros_like(weight), bias))
    (mean,) = run(to_onnx(estimator, tmp_path / "linear.onnx"), estimator, sample.features)
    growth = estimator.growth(estimator.inputs(sample.features))
    slope, offset = bias.astype(float)[:, 0, :].mean(axis=0), trained.calibration[:, 0, 1:].mean(axis=0)
    linear = growth * slope + 2 * offset
    np.testing.assert_allclose(mean[:, 1:4], linear, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(mean[:, 0], 1.0)
    np.testing.assert_array_equal(mean[:, 4:], 0.0)


def test_features_beyond_the_training_and_batches_of_any_length(simple: Estimator, tmp_path: Path) -> None:
    frame = random_features(simple, 200, seed=1)
    frame["pt_z"] *= np.linspace(0.4, 2.5, 200)
    frame["y_zh"] *= 1.5
    path = to_onnx(simple, tmp_path / "zh.onnx")
    assert check(path, simple, frame) < ROUNDING
    (all_at_once,) = run(path, simple, frame)
    (one,) = run(path, simple, frame.iloc[7:8])
    np.testing.assert_allclose(one, all_at_once[7:8], rtol=1e-5, atol=1e-6)
    (none,) = run(path, simple, frame.iloc[:0])
    assert none.shape == (0, 10)


@pytest.mark.parametrize("head", HEADS.own)
def test_features_that_cannot_be_used_give_nan(sample: Events, tmp_path: Path, head: str) -> None:
    estimator = train(sample, loss=LOSSES[head], head=head, seed=3, **HIDDEN)
    path = to_onnx(estimator, tmp_path / "zh.onnx", members=True)
    frame = random_features(estimator, 6, seed=1)
    frame.loc[1, "pt_z"], frame.loc[2, "pt_z"] = -1.0, 0.0  # of which it takes the logarithm
    frame.loc[3, "y_zh"], frame.loc[4, "phi_l"] = np.nan, np.inf
    for coefficients in run(path, estimator, frame):
        rows = np.moveaxis(np.isnan(coefficients), -2, 0).reshape(6, -1)
        np.testing.assert_array_equal(rows.all(axis=1), [False, True, True, True, True, False])
        np.testing.assert_array_equal(rows.any(axis=1), rows.all(axis=1))


def test_the_reference_implementation_of_onnx_agrees(
    simple: Estimator, sample: Events, tmp_path: Path
) -> None:
    from onnx.reference import ReferenceEvaluator

    frame = sample.features[:50]
    path = to_onnx(simple, tmp_path / "zh.onnx")
    values = frame[list(simple.features)].to_numpy(float)
    (found,) = ReferenceEvaluator(str(path)).run(None, {"features": values})
    growth = simple.growth(simple.inputs(frame))
    difference = np.abs(found - simple(frame).dense().coefficients)
    assert np.max(difference / np.maximum(np.abs(found), monomials(growth))) < ROUNDING


def test_random_features_look_like_those_of_the_training(simple: Estimator, sample: Events) -> None:
    frame = random_features(simple, 4000, seed=1)
    pd.testing.assert_frame_equal(frame, random_features(simple, 4000, seed=1))
    assert list(frame) == list(simple.features)
    for name in ("m_zh", "pt_z", "y_zh", "cos_theta_star", "phi_l"):
        low, high = sample.features[name].min(), sample.features[name].max()
        width = high - low
        assert low - 0.01 * width <= frame[name].min() < low + 0.3 * width
        assert frame[name].max() <= high + 0.01 * width
    spread = np.log(frame["pt_z"]).std() / np.log(sample.features["pt_z"]).std()
    assert 0.6 < spread < 1.1  # normal, cut at the range


def test_the_file_says_what_it_is(simple: Estimator, tmp_path: Path) -> None:
    simple.noted("a note").save(tmp_path / "zh.model")
    loaded = Estimator.load(tmp_path / "zh.model")
    path = to_onnx(loaded, tmp_path / "zh.onnx")
    about = session(path).get_modelmeta().custom_metadata_map
    assert json.loads(about["features"]) == list(simple.features)
    assert json.loads(about["operators"]) == ["cHW", "cHq3", "cHWtil"]
    assert json.loads(about["monomials"])[:6] == ["1", "cHW", "cHq3", "cHWtil", "cHW^2", "cHW*cHq3"]
    assert json.loads(about["checksums"]) == loaded.metadata["checksums"]
    assert json.loads(about["head"]) == {"name": "squares", "rank": 0}
    assert json.loads(about["notes"])[-1] == "a note"
    assert about["units"] == "TeV^-2"
    assert about["members"] == "2"
    model = onnx.load(path)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert path.read_bytes() == to_onnx(loaded, tmp_path / "again.onnx").read_bytes()


@dataclass(frozen=True)
class Forest(MLP):
    name: ClassVar[str] = "forest"


@dataclass(frozen=True)
class Cubic(Quadratic):
    name: ClassVar[str] = "cubic"


def test_what_has_no_graph_is_refused(simple: Estimator, tmp_path: Path) -> None:
    target = tmp_path / "no.onnx"
    with pytest.raises(InputError, match="backbone 'forest' as ONNX, only 'mlp'; train one with"):
        to_onnx(replace(simple, backbone=Forest()), target)
    with pytest.raises(InputError, match="backbone 'forest'"):
        random_features(replace(simple, backbone=Forest()), 3, seed=0)
    with pytest.raises(InputError, match="head 'cubic' as ONNX, only squares, quadratic, linear, morphing"):
        to_onnx(replace(simple, head=Cubic()), target)
    with pytest.raises(InputError, match="does not exist"):
        to_onnx(simple, tmp_path / "nowhere" / "no.onnx")
    assert not target.exists()


def test_check_refuses_other_files(simple: Estimator, sample: Events, tmp_path: Path) -> None:
    path = to_onnx(simple, tmp_path / "zh.onnx")
    other = train(sample, operators=["cHW", "cHq3"], seed=1, **HIDDEN)
    with pytest.raises(InputError, match=r"has operators .*cHWtil.*export this estimator again"):
        check(path, other, sample.features)
    with pytest.raises(InputError, match="needs feature"):
        check(path, simple, sample.features[["pt_z"]])
    with pytest.raises(InputError, match="frame with rows"):
        check(path, simple, sample.features.iloc[:0])
    with pytest.raises(InputError, match="cannot read"):
        check(tmp_path / "none.onnx", simple, sample.features)
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(InputError, match="not an ONNX file"):
        check(tmp_path / "text.onnx", simple, sample.features)


def test_check_sees_another_training(simple: Estimator, sample: Events, tmp_path: Path) -> None:
    path = to_onnx(shifted(simple, 4), tmp_path / "zh.onnx")
    assert check(path, simple, sample.features) > 1e-2


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_missing_packages_are_named(
    simple: Estimator, sample: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    path = to_onnx(simple, tmp_path / "zh.onnx")
    real = importlib.import_module

    def blocked(name: str, package: str | None = None) -> Any:
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", blocked)
    steps = {
        "onnx": lambda: to_onnx(simple, path),
        "onnxruntime": lambda: check(path, simple, sample.features),
    }
    with pytest.raises(InputError, match=rf"'{missing}'.*pip install 'smeft-unbinned\[onnx\]'"):
        steps[missing]()
