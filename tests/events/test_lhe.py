"""LHE files: round trips of known polynomials, normalisation, choices, and every refusal with its place."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lhe_writer import CARD, NAMES, Lhe, text_of

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import Events
from smeft_unbinned.events.lhe import read_lhe
from smeft_unbinned.events.morphing import monomial_matrix
from smeft_unbinned.polynomial import pack

POINTS = np.array([[0, 0], [0.1, 0], [0.2, 0], [0, 0.1], [0, -0.1], [0.1, 0.1]])
LABELS = [f"w{b}" for b in range(len(POINTS))]


def truth(events: int = 6, seed: int = 0) -> np.ndarray:
    """Packed ratio coefficients of random sums of squares, (events, 6)."""
    factors = np.random.default_rng(seed).normal(0.0, 0.5, (events, 2, 3))
    factors[:, 0, 0], factors[:, 1, 0] = 1.0, 0.0
    return pack(np.einsum("eri,erj->eij", factors, factors))


def example(events: int = 6, seed: int = 0, **changes) -> Lhe:
    weights = 2.5 * truth(events, seed) @ monomial_matrix(POINTS).T
    texts = {label: text_of(p) for label, p in zip(LABELS, POINTS.tolist(), strict=True)}
    file = Lhe(weights, texts, np.full(events, 2.5))
    return dataclasses.replace(file, **changes)


def without(file: Lhe, *labels: str) -> Lhe:
    keep = [b for b, label in enumerate(file.texts) if label not in labels]
    texts = {k: t for k, t in file.texts.items() if k not in labels}
    return dataclasses.replace(file, weights=file.weights[:, keep], texts=texts)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(1, 9), st.sampled_from(["a.lhe", "a.lhe.gz"]), st.integers(1, 4))
def test_round_trip(tmp_path, seed, events, name, chunk):
    path = example(events, seed).write(tmp_path / name)
    got = read_lhe(path, chunk=chunk)
    assert got.operators == NAMES
    np.testing.assert_allclose(got.truth.coefficients, truth(events, seed), rtol=0, atol=1e-10)
    assert np.sum(got.weights) == pytest.approx(2.5, rel=1e-12)
    assert len(got) == events


def test_metadata_is_json_and_survives_saving(tmp_path):
    path = example().write(tmp_path / "a.lhe.gz")
    got = read_lhe(path)
    about = json.loads(json.dumps(got.metadata))
    assert about["process"] == "p p > h j j"
    assert about["beams"] == [2212, 2212]
    assert about["energy_GeV"] == 13000
    assert about["generator"] == "MadGraph5_aMC@NLO 3.5.6"
    assert about["basis"] == "warsaw"
    assert about["input_scheme"] == "mW, mZ, GF"
    assert about["points"]["w5"] == {"cHD": 0.1, "cHW": 0.1}
    assert about["rank"] == 6
    assert about["normalisation"] == "mean"
    assert about["files"] == [
        {"name": "a.lhe.gz", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "events": 6}
    ]
    got.save(tmp_path / "events.safetensors")
    assert Events.load(tmp_path / "events.safetensors").metadata == about


@pytest.mark.parametrize(
    ("strategy", "scale", "says"), [(-4, 1.0, "mean"), (-4, 1 / 6, "sum"), (3, 0.4, "unit")]
)
def test_normalisation_conventions(tmp_path, strategy, scale, says):
    file = example()
    file = dataclasses.replace(
        file, strategy=strategy, nominal=file.nominal * scale, weights=file.weights * scale
    )
    got = read_lhe(file.write(tmp_path / "a.lhe"))
    assert got.metadata["normalisation"] == says
    np.testing.assert_allclose(got.weights, 2.5 / 6, rtol=1e-12)


def test_cross_section_not_given(tmp_path):
    file = dataclasses.replace(example(), xsec=0.0, strategy=-1)
    assert np.sum(read_lhe(file.write(tmp_path / "a.lhe")).weights) == pytest.approx(2.5)
    with pytest.raises(InputError, match="need XSECUP"):
        read_lhe(dataclasses.replace(file, strategy=3).write(tmp_path / "b.lhe"))


def test_files_of_one_process_are_averaged(tmp_path):
    a = example(6, 0).write(tmp_path / "a.lhe")
    b = example(2, 1, xsec=2.9).write(tmp_path / "b.lhe")
    got = read_lhe([a, b])
    assert np.sum(got.weights) == pytest.approx((6 * 2.5 + 2 * 2.9) / 8)
    assert [f["events"] for f in got.metadata["files"]] == [6, 2]
    assert len(read_lhe([a, b], max_events=7)) == 7
    assert len(read_lhe([a, b], max_events=6).metadata["files"]) == 1
    c = example(energy=7000.0).write(tmp_path / "c.lhe")
    with pytest.raises(InputError, match=r"a\.lhe and c\.lhe differ in their energies"):
        read_lhe([a, c])
    (tmp_path / "copy.lhe").write_bytes(a.read_bytes())
    with pytest.raises(InputError, match=r"copy\.lhe are the same file"):
        read_lhe([a, b, tmp_path / "copy.lhe"])
    with pytest.raises(InputError, match="no such file"):
        read_lhe([a, tmp_path / "missing.lhe"])


def test_progress_does_not_change_the_result(tmp_path, capsys):
    path = example().write(tmp_path / "a.lhe")
    assert np.array_equal(read_lhe(path, progress=True, chunk=2).weights, read_lhe(path).weights)
    assert "a.lhe" in capsys.readouterr().err


def test_without_pylhe(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pylhe", None)
    with pytest.raises(InputError, match=r"pip install 'smeft-unbinned\[lhe\]'"):
        read_lhe(example().write(tmp_path / "a.lhe"))


def test_observables_by_name(tmp_path):
    path = example().write(tmp_path / "a.lhe")
    got = read_lhe(path, observables=["pt[h]", "mass[j1+j2]"])
    assert list(got.features) == ["pt[h]", "mass[j1+j2]"]
    assert got.column("pt[h]")[0] == pytest.approx(np.hypot(*np.random.default_rng(0).normal(0, 100, 3)[:2]))
    with pytest.raises(InputError, match="Did you mean 'mass'"):
        read_lhe(path, observables=["masss[h]"])
    with pytest.raises(InputError, match="observables is empty"):
        read_lhe(path, observables=[])
    with pytest.raises(InputError, match="single string"):
        read_lhe(path, observables="ht")


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_jets_that_some_events_lack(tmp_path, chunk):
    path = example(jets=[3, 3, 3, 1, 2, 3]).write(tmp_path / "a.lhe")
    with pytest.raises(InputError, match=r"a\.lhe, event 3: particle 'j2' is not defined, the event has 1"):
        read_lhe(path, observables=["pt[j2]"], chunk=chunk)
    names = list(read_lhe(path, chunk=chunk).features)
    assert "pt[h]" in names
    assert not any("j2" in name or "j3" in name for name in names)


def test_the_event_weight_serves_as_sm_point(tmp_path):
    got = read_lhe(without(example(), "w0").write(tmp_path / "a.lhe"))
    np.testing.assert_allclose(got.truth.coefficients, truth(), atol=1e-10)
    assert "XWGTUP" in got.metadata["points"]


def test_other_weights_are_ignored(tmp_path):
    extra = (
        "<weightgroup name='scales'><weight id='s1'>muR=2</weight><weight id='s2'></weight></weightgroup>\n"
    )
    file = example(extra=extra)
    file.texts["mass"] = "set param_card mass 25 126.0 # orig: 125.0"
    file = dataclasses.replace(file, weights=np.column_stack([file.weights, file.weights[:, 0] * 3]))
    got = read_lhe(file.write(tmp_path / "a.lhe"))
    np.testing.assert_allclose(got.truth.coefficients, truth(), atol=1e-10)
    assert got.metadata["weights_ignored"] == ["s1", "s2", "mass"]


def test_weights_at_the_same_point_must_agree(tmp_path):
    file = example()
    file.texts["again"] = ""
    twice = np.column_stack([file.weights, file.weights[:, 0]])
    got = read_lhe(dataclasses.replace(file, weights=twice).write(tmp_path / "a.lhe"))
    assert got.metadata["weights_at_the_same_point"] == [["w0", "again"]]
    twice[4, -1] *= 1.01
    with pytest.raises(InputError, match=r"event 4: weights 'w0' and 'again' stand at the same point"):
        read_lhe(dataclasses.replace(file, weights=twice).write(tmp_path / "b.lhe"))


def test_fewer_operators(tmp_path):
    path = example().write(tmp_path / "a.lhe")
    got = read_lhe(path, operators=["cHDD"])
    assert got.operators == ("cHD",)
    np.testing.assert_allclose(got.truth.coefficients, truth()[:, [0, 1, 3]], atol=1e-10)
    assert read_lhe(path, operators=["cHW", "cHD"]).operators == ("cHW", "cHD")
    with pytest.raises(InputError, match=r"no weight varies operator 'cHBW'.*Did you mean 'cHW'"):
        read_lhe(path, operators=["cHBW"])
    with pytest.raises(InputError, match="single string"):
        read_lhe(path, operators="cHW")


def test_points_given_by_the_user(tmp_path):
    file = example()
    path = dataclasses.replace(file, texts=dict.fromkeys(file.texts, "")).write(tmp_path / "a.lhe")
    with pytest.raises(InputError, match=r"lists 6 weights \(w0, w1, .*pass points="):
        read_lhe(path)
    points = {label: {"A": p[0], "B": p[1]} for label, p in zip(LABELS, POINTS.tolist(), strict=True)}
    got = read_lhe(path, points=points)
    assert got.operators == ("A", "B")
    np.testing.assert_allclose(got.truth.coefficients, truth(), atol=1e-10)
    with pytest.raises(InputError, match=r"unknown weight 'W1'.*Did you mean 'w1'"):
        read_lhe(path, points={**points, "W1": {}})
    with pytest.raises(InputError, match=r"points\['w1'\]\['A'\] must be a finite number"):
        read_lhe(path, points={**points, "w1": {"A": "x"}})
    with pytest.raises(InputError, match=r"cannot separate A from A\^2"):
        read_lhe(path, points={"w0": {}, "w1": {"A": 0.1}})


def test_cutoff_generation_point_and_names(tmp_path):
    two = CARD.replace("1.0e+03 # lambda", "2.0e+03 # lambda")
    got = read_lhe(example(card=two).write(tmp_path / "a.lhe"))
    assert got.metadata["points"]["w1"] == {"cHD": 0.025, "cHW": 0.0}  # c / Lambda^2 in TeV^-2
    texts = {label: t.replace("smeft 7", "dim6 3") for label, t in example().texts.items()}
    other = read_lhe(example(texts=texts).write(tmp_path / "b.lhe"))
    assert set(other.operators) == {"cHD", "dim6_3"}
    by_name = {label: t.replace("smeft 7", "cHW") for label, t in example().texts.items()}
    assert read_lhe(example(texts=by_name).write(tmp_path / "c.lhe")).operators == NAMES
    # generated at cHW = 0.3: the weights that do not mention it stand there
    at = {k: t.replace("orig: 0.0", "orig: 0.3") if "smeft 7" in t else t for k, t in example().texts.items()}
    at = {k: t.replace("smeft 5 0.1 # orig: 0.3", "smeft 5 0.1 # orig: 0.0") for k, t in at.items()}
    shifted = POINTS.copy()
    shifted[shifted[:, 1] == 0, 1] = 0.3
    file = example(texts=at)
    weights = 2.5 * truth() @ monomial_matrix(shifted).T
    file = dataclasses.replace(file, weights=weights, nominal=weights[:, 0])
    got = read_lhe(file.write(tmp_path / "d.lhe"))
    np.testing.assert_allclose(got.truth.coefficients, truth(), atol=1e-9)
    assert np.sum(got.weights) == pytest.approx(2.5 * 6 * 2.5 / np.sum(weights[:, 0]))


def test_coefficient_fixed_away_from_zero(tmp_path):
    card = CARD.replace("4 0.0 # chbox", "4 0.7 # chbox")
    with pytest.raises(InputError, match=r"a\.lhe: the card has chbox = 0\.7 and no weight sets it"):
        read_lhe(example(card=card).write(tmp_path / "a.lhe"))


@pytest.mark.parametrize(
    ("replace", "says"),
    [
        ({"smeft 5 0.1 #": "smeft 5 auto #"}, r"weight 'w1': cannot read 'set param_card smeft 5 auto"),
        ({"smeft 5 0.1 #": "smeft 0.1 #"}, r"weight 'w1': cannot read"),
        ({"smeft 5 0.1 # orig: 0.0": "smeft 5 0.1 # orig: 0.2"}, "another weight says 0.2"),
        ({"<weight id='w1'>": "<weight id='w0'>"}, "weight 'w0' is listed twice in the header"),
        ({"<wgt id='w2'>": "<wgt id='w1'>"}, "event 0: weight 'w1' is listed twice"),
        (
            {"<wgt id='w2'>": "<wgt id='other'>"},
            "event 0: weight 'w2' is missing, the event carries 6 weights",
        ),
        ({"<wgt id='w0'> 2.5 ": "<wgt id='w0'> NaN "}, "event 0: weight 'w0' is nan"),
        ({"<wgt id='w0'> 2.5 ": "<wgt id='w0'> 2.5x "}, "event 0: cannot be read: could not convert"),
        (
            {"<wgt id='w0'> 2.5 ": "<wgt id='w0'> -2.5 "},
            "1 of 6 events have an SM weight that is not positive",
        ),
        ({"5 1 2.5 91.0": "6 1 2.5 91.0"}, "event 0: 5 particles, but NUP says 6"),
        ({"5 1 2.5 91.0": "5 1 inf 91.0"}, "event 0: the weight XWGTUP is inf"),
        ({"25 1 1 2 0 0 ": "25 1 1 2 0 0 nan "}, "event 0: px of particle 3 is nan"),
        ({"25 1 1 2 0 0 ": "25 1 1 2 "}, "event 0: "),
        ({"</rwgt>": ""}, "event 0: cannot be read: Parse Error"),
        ({"<init>": "<start>"}, "header or <init> block"),
        ({"LesHouchesEvents version": "Other version"}, "header or <init> block"),
    ],
)
def test_refused_with_its_place(tmp_path, replace, says):
    path = example(replace=replace).write(tmp_path / "bad.lhe")
    with pytest.raises(InputError, match=r"bad\.lhe.*" + says):
        read_lhe(path)


def test_missing_block_of_weights(tmp_path):
    file = example()
    text = file.text().split("<rwgt>")
    path = tmp_path / "bad.lhe"
    path.write_text(text[0] + text[1].split("</rwgt>")[1] + "<rwgt>" + "<rwgt>".join(text[2:]))
    with pytest.raises(InputError, match="event 0: weight 'w0' is missing, the event carries no weights"):
        read_lhe(path)
    header = file.text().split("<initrwgt>")
    path.write_text(header[0] + header[1].split("</initrwgt>")[1])
    with pytest.raises(InputError, match=r"bad\.lhe: the header lists no weights"):
        read_lhe(path)


def test_events_whose_sm_weight_is_not_positive_may_be_dropped(tmp_path):
    path = example(replace={"<wgt id='w0'> 2.5 ": "<wgt id='w0'> -2.5 "}).write(tmp_path / "a.lhe")
    got = read_lhe(path, non_positive="drop")
    assert (len(got), got.metadata["events_dropped"]) == (5, 1)
    np.testing.assert_allclose(got.truth.coefficients, truth()[1:], atol=1e-10)


def test_files_that_cannot_be_read(tmp_path):
    example().write(tmp_path / "sample.lhe")
    with pytest.raises(InputError, match=r"no such file.*Did you mean 'sample\.lhe'"):
        read_lhe(tmp_path / "sampel.lhe")
    with pytest.raises(InputError, match="cannot read"):
        read_lhe(tmp_path)
    with pytest.raises(InputError, match="no LHE file given"):
        read_lhe([])
    with pytest.raises(InputError, match="must be positive"):
        read_lhe(tmp_path / "sample.lhe", max_events=0)
    (tmp_path / "empty.lhe").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty\.lhe is not a readable LHE file"):
        read_lhe(tmp_path / "empty.lhe")
    text = example().text()
    (tmp_path / "none.lhe").write_text(text.split("<event>")[0] + "</LesHouchesEvents>")
    with pytest.raises(InputError, match=r"none\.lhe holds no events"):
        read_lhe(tmp_path / "none.lhe")


@pytest.mark.parametrize("packed", [True, False])
def test_truncated(tmp_path, packed):
    data = example(400).text().encode()
    path = tmp_path / "cut.lhe"
    path.write_bytes(gzip.compress(data)[:-40000] if packed else data[:-20000])
    with pytest.raises(InputError, match=r"cut\.lhe, event [1-3]\d\d: "):
        read_lhe(path)
