"""Bundles: what onnxruntime makes of the likelihood, against formulas written out here; the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refuse, run

from smeft_unbinned import Component, InputError, Polynomial, SumOfSquares, UnbinnedDataset
from smeft_unbinned.graphs import EVENTS, LIKELIHOOD, MANIFEST, bundle, check_bundle, likelihood, to_bundle
from smeft_unbinned.graphs.manifest import unit_of

onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")

OUTPUTS = ("ratio", "m2logl_events", "yield", "m2logl")
Make = Callable[..., UnbinnedDataset]


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def evaluate(folder: Path, c: Any, **given: Any) -> dict[str, np.ndarray]:
    """Run the likelihood on the events of the bundle, or on coefficients that are given."""
    if not given:
        names = ["coefficients", "weights"]
        given = dict(zip(names, session(folder / EVENTS).run(names, {}), strict=True))
    values = {name: np.asarray(value, dtype=float) for name, value in {**given, "c": c}.items()}
    return dict(zip(OUTPUTS, session(folder / LIKELIHOOD).run(OUTPUTS, values), strict=True))


def one(coefficients: Any, nu: Any = (10.0, 4.0, 3.0), **options: Any) -> UnbinnedDataset:
    """A dataset of one operator."""
    names = ("cHW",)
    return UnbinnedDataset("one", Polynomial(names, coefficients), Polynomial(names, nu), **options)


def test_numbers_worked_out_by_hand(tmp_path: Path) -> None:
    """At c = 0.5: r = 1.5^2 and 1 - 0.5 + 2/4, nu = 10 + 2 + 0.75."""
    coefficients = [[1.0, 1.0, 0.25], [1.0, -1.0, 2.0]]
    to_bundle(one(coefficients, weights=np.array([2.0, 0.5])), tmp_path / "b")
    found = evaluate(tmp_path / "b", [0.5])
    np.testing.assert_allclose(found["ratio"], [1.5625, 1.0], rtol=1e-15)
    np.testing.assert_allclose(found["m2logl_events"], [-4.0 * np.log(1.5625), 0.0], rtol=1e-15)
    np.testing.assert_allclose(found["yield"], 12.75, rtol=1e-15)
    np.testing.assert_allclose(found["m2logl"], 5.5 - 4.0 * np.log(1.5625), rtol=1e-14)
    assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(OUTPUTS, np.dtype(float))
    unweighted = evaluate(tmp_path / "b", [0.5], coefficients=coefficients)
    np.testing.assert_allclose(unweighted["m2logl"], 5.5 - 2.0 * np.log(1.5625), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("dense", [False, True])
def test_the_likelihood_is_that_of_the_dataset(
    make_unbinned: Make, tmp_path: Path, dense: bool, dtype: Any
) -> None:
    dataset = make_unbinned(n=300, seed=4)
    form = dataset.ratios.dense() if dense else dataset.ratios
    dataset = dataset.replace(ratios=form).astype(dtype)
    to_bundle(dataset, tmp_path / "b")
    for c in np.random.default_rng(1).normal(size=(20, 3)):
        found = evaluate(tmp_path / "b", c)
        x = np.concatenate([[1.0], c])
        if dense:
            products = [x[i] * x[j] for i in range(4) for j in range(i, 4)]
            r = dataset.ratios.coefficients.astype(float) @ products
        else:
            r = np.sum((dataset.ratios.factors.astype(float) @ x) ** 2, axis=1)
        np.testing.assert_allclose(found["ratio"], r, rtol=1e-12)
        np.testing.assert_allclose(found["m2logl_events"], -2.0 * dataset.weights * np.log(r), atol=1e-11)
        np.testing.assert_allclose(found["yield"], dataset.expected_count(c), rtol=1e-13)
        many = np.broadcast_to(c, (8, 3))  # several points, so that rows of single precision are converted
        np.testing.assert_allclose(found["m2logl"], dataset.m2logl(many)[0], rtol=1e-10, atol=1e-10)
    assert check_bundle(tmp_path / "b", dataset).likelihood < 1e-14
    stored = onnx.load(tmp_path / "b" / EVENTS).graph.initializer[0].data_type
    single = dense and dtype == np.float32
    assert stored == (onnx.TensorProto.FLOAT if single else onnx.TensorProto.DOUBLE)


def test_zero_at_the_sm(make_unbinned: Make, tmp_path: Path) -> None:
    to_bundle(make_unbinned(), tmp_path / "b")
    found = evaluate(tmp_path / "b", np.zeros(3))
    np.testing.assert_array_equal(found["ratio"], 1.0)
    np.testing.assert_array_equal(found["m2logl_events"], 0.0)
    assert found["m2logl"] == 0.0


def test_below_the_floor_the_logarithm_is_its_tangent(tmp_path: Path) -> None:
    """Ratios 1 - s c turn negative; the tangent of log r at 1e-10 is log 1e-10 + (r - 1e-10) 1e10."""
    slopes = np.array([0.5, 1.0 - 1e-10, 1.0, 2.0])
    dataset = one(np.stack([np.ones(4), -slopes, np.zeros(4)], axis=1))
    to_bundle(dataset, tmp_path / "b")
    found = evaluate(tmp_path / "b", [1.0])
    r = 1.0 - slopes
    tangent = np.log(1e-10) + (r - 1e-10) * 1e10
    np.testing.assert_allclose(found["m2logl_events"][0], -2.0 * np.log(0.5), rtol=1e-15)
    np.testing.assert_allclose(found["m2logl_events"][1:], -2.0 * tangent[1:], rtol=1e-6)
    np.testing.assert_allclose(found["m2logl"], dataset.m2logl([1.0]), rtol=1e-10)
    assert dataset.penalised


def test_backgrounds_enter_rates_and_yield(tmp_path: Path) -> None:
    """Per event 1 + 2 c + b + d c^2, and nu = (10 + 4 c + 3 c^2) + (5 + 2 c^2), in two groups."""
    rng = np.random.default_rng(3)
    b, d, weights = rng.uniform(0.2, 2.0, (3, 7))
    signal = np.stack([np.ones(7), np.full(7, 2.0), np.ones(7)], axis=1)
    flat = Component(Polynomial((), b[:, None]), Polynomial((), [5.0]))
    other = Component(
        SumOfSquares(("cHW",), np.stack([0.0 * d, np.sqrt(d)], axis=1)[:, None]),
        Polynomial(("cHW",), [[0.0, 0.0, 0.5], [0.0, 0.0, 1.5]]),
    )
    dataset = one(signal, weights=weights, backgrounds=[flat, other])
    to_bundle(dataset, tmp_path / "b")
    for c in (-2.0, 0.3):
        found = evaluate(tmp_path / "b", [c])
        rate = (1.0 + c) ** 2 + b + d * c**2
        np.testing.assert_allclose(found["ratio"], rate, rtol=1e-14)
        gain = 2.0 * np.sum(weights * np.log(rate / (1.0 + b)))
        np.testing.assert_allclose(found["yield"], 15.0 + 4.0 * c + 5.0 * c**2, rtol=1e-14)
        np.testing.assert_allclose(found["m2logl"], 2.0 * (4.0 * c + 5.0 * c**2) - gain, rtol=1e-12)
        np.testing.assert_allclose(found["m2logl"], dataset.m2logl([c]), rtol=1e-12)
    assert evaluate(tmp_path / "b", [0.0])["m2logl"] == 0.0
    assert json.loads((tmp_path / "b" / MANIFEST).read_text())["backgrounds"] == 2


def test_unusable_coefficients_are_not_lost(make_unbinned: Make, tmp_path: Path) -> None:
    to_bundle(make_unbinned(), tmp_path / "b")
    coefficients = np.ones((3, 10))
    coefficients[1] = np.nan
    found = evaluate(tmp_path / "b", np.full(3, 0.1), coefficients=coefficients)
    np.testing.assert_array_equal(np.isnan(found["m2logl_events"]), [False, True, False])
    assert np.isnan(found["m2logl"])
    none = evaluate(tmp_path / "b", np.full(3, 0.1), coefficients=np.ones((0, 10)))
    assert none["ratio"].shape == (0,)
    assert none["m2logl"] == pytest.approx(2.0 * (none["yield"] - make_unbinned().expected.constant))


def test_the_reference_implementation_of_onnx_agrees(make_unbinned: Make, tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    dataset = make_unbinned()
    to_bundle(dataset, tmp_path / "b")
    coefficients, weights = ReferenceEvaluator(str(tmp_path / "b" / EVENTS)).run(None, {})
    given = {"coefficients": coefficients, "weights": weights, "c": np.array([0.3, -0.2, 0.5])}
    found = ReferenceEvaluator(str(tmp_path / "b" / LIKELIHOOD)).run(["m2logl"], given)[0]
    np.testing.assert_allclose(found, dataset.m2logl(given["c"]), rtol=1e-12)


def test_the_manifest_says_enough_to_do_without_the_graphs(make_unbinned: Make, tmp_path: Path) -> None:
    about = {"luminosity_fb-1": 300.0, "scale": 91.0, "notes": ["a note"], "features": ["pt[h]", "x"]}
    dataset = make_unbinned(seed=2).replace(metadata={**about, "source": {"process": "ZH"}})
    assert to_bundle(dataset, tmp_path / "b") == tmp_path / "b"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    content = json.loads((tmp_path / "b" / MANIFEST).read_text(encoding="utf-8"))
    assert content["kind"] == "onnx bundle"
    assert content["schema"] == 1
    assert (content["name"], content["process"], content["basis"]) == ("unbinned", "ZH", "warsaw")
    assert (content["units"], content["Lambda"]) == ("TeV^-2", "1 TeV")
    assert (content["luminosity_fb-1"], content["scale"], content["events"]) == (300.0, 91.0, 40)
    assert content["features"] == [{"name": "pt[h]", "unit": "GeV"}, {"name": "x", "unit": None}]
    assert content["notes"] == ["a note", "unit not recorded, that of the training holds: x"]
    assert content["versions"]["onnx"] == onnx.__version__
    assert sorted(content["files"]) == [EVENTS, LIKELIHOOD]
    for name, record in content["files"].items():
        data = (tmp_path / "b" / name).read_bytes()
        assert record["sha256"] == hashlib.sha256(data).hexdigest()
        assert record["bytes"] == len(data)
    assert content["files"][LIKELIHOOD]["inputs"] == {"coefficients": ["N", 10], "c": [3], "weights": ["N"]}
    assert content["files"][LIKELIHOOD]["optional"] == ["weights"]
    assert tuple(content["files"][LIKELIHOOD]["outputs"]) == OUTPUTS

    c = dict(zip(content["operators"], (0.4, -0.3, 0.2), strict=True))
    monomials = [eval_monomial(text, c) for text in content["monomials"]]
    found = evaluate(tmp_path / "b", list(c.values()))
    np.testing.assert_allclose(found["yield"], np.dot(content["yield"], monomials), rtol=1e-14)
    coefficients, _ = session(tmp_path / "b" / EVENTS).run(None, {})
    np.testing.assert_allclose(found["ratio"], coefficients @ monomials, rtol=1e-13)


def eval_monomial(text: str, c: dict[str, float]) -> float:
    value = 1.0
    for factor in text.split("*"):
        name, _, power = factor.partition("^")
        value *= 1.0 if name == "1" else c[name] ** int(power or 1)
    return value


def test_the_graphs_say_what_they_are(make_unbinned: Make, tmp_path: Path) -> None:
    to_bundle(make_unbinned(), tmp_path / "b")
    to_bundle(make_unbinned(), tmp_path / "again")
    for name in (EVENTS, LIKELIHOOD):
        about = session(tmp_path / "b" / name).get_modelmeta().custom_metadata_map
        assert json.loads(about["operators"]) == ["cHW", "cHq3", "cHu"]
        assert json.loads(about["monomials"])[:2] == ["1", "cHW"]
        assert (about["units"], about["basis"], about["dataset"]) == ("TeV^-2", "warsaw", "unbinned")
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize(
    ("feature", "declared", "unit"),
    [
        ("pt[j1]", {}, "GeV"),
        ("delta_phi[j1,j2]", {}, "rad"),
        ("delta_r[j1,j2]", {}, "1"),
        ("m_zh", {"mass": "GeV"}, "GeV"),
        ("cos_theta_star", {"mass": "GeV"}, "1"),
        ("phi_l", {"mass": "GeV"}, "rad"),
        ("m_zh", {}, None),
        ("met", {}, None),
        ("met", {"met": "MeV"}, "MeV"),
    ],
)
def test_units_are_told_where_they_are_known(
    feature: str, declared: dict[str, str], unit: str | None
) -> None:
    assert unit_of(feature, declared) == unit


def test_what_a_bundle_cannot_hold_is_refused(
    make_unbinned: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"nuisance parameters \(LUMI\).*without --responses and --lumi"):
        to_bundle(make_unbinned().with_luminosity(0.02, "LUMI"), tmp_path / "b")
    monkeypatch.setattr(likelihood, "LARGEST", 1000)
    with pytest.raises(InputError, match=r"the 40 events of dataset 'unbinned' take 0\.0 GiB.*compress"):
        to_bundle(make_unbinned(), tmp_path / "b")
    with pytest.raises(InputError, match="does not exist"):
        to_bundle(make_unbinned(), tmp_path / "nowhere" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_whole_or_not_there(
    make_unbinned: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "likelihood_graph", fail)
    with pytest.raises(InputError, match="No space left on device; nothing was changed"):
        to_bundle(make_unbinned(), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="b exists; remove it, or give the name of a new folder"):
        to_bundle(make_unbinned(), tmp_path / "b")


def test_the_command_on_a_dataset_alone(make_unbinned: Make, tmp_path: Path) -> None:
    make_unbinned(n=200).save(tmp_path / "a.dataset")
    result = run("onnx", "--dataset", tmp_path / "a.dataset", "-o", f"{tmp_path}/b/")
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "events.onnx, likelihood.onnx, manifest.json; 200 events of cHW, cHq3, cHu" in text
    assert float(text.split("-2 log L from coefficients: ")[1].split()[0]) < 1e-14
    assert "from features" not in text
    arguments = ("onnx", "--dataset", tmp_path / "a.dataset", "-o")
    assert "b exists; remove it" in refuse(*arguments, tmp_path / "b")
    assert "a.dataset would be overwritten" in refuse(*arguments, tmp_path / "a.dataset")
    assert "give a MODEL" in refuse(*arguments, tmp_path / "c", "--members")
    assert "give a MODEL" in refuse(*arguments, tmp_path / "c", "--check", tmp_path / "x.events")
    assert "give a MODEL" in refuse("onnx", "-o", tmp_path / "c")
    assert "no such file" in refuse("onnx", "--dataset", tmp_path / "b.dataset", "-o", tmp_path / "c")


def test_a_difference_beyond_rounding_ends_with_code_one(
    make_unbinned: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_unbinned().save(tmp_path / "a.dataset")
    right = likelihood.likelihood_graph

    def altered(dataset: UnbinnedDataset) -> bytes:
        return right(dataset.replace(expected=dataset.expected * (1.0 + 1e-8)))

    monkeypatch.setattr(bundle, "likelihood_graph", altered)
    result = run("onnx", "--dataset", tmp_path / "a.dataset", "-o", tmp_path / "b")
    assert result.exit_code == 1
    assert "differ by more than the 1e-10 that rounding may do" in " ".join(result.output.split())
