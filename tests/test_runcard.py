"""Runcard: a card becomes a likelihood, and every mistake in one is an InputError that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned import InputError, Likelihood, PoissonDataset, Runcard
from smeft_unbinned.fit.provenance import caveats
from smeft_unbinned.runcard_keys import LABELS, SAMPLER_KEYS
from smeft_unbinned.yamlfile import parse

BINNED = "ZH_14TeV_STXS"


@pytest.fixture
def folder(tmp_path: Path, make_unbinned) -> Path:
    make_unbinned(1, operators=("cHW", "cHq1", "cHWtil")).save(tmp_path / "zh.safetensors")
    return tmp_path


def card(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "result_ID": "test",
        "datasets": [BINNED, {"name": "zh", "unbinned": "zh.safetensors"}],
        "coefficients": {"OpW": {"min": -1, "max": 2}, "OpqMi": {"min": -3, "max": 3}},
    }
    return {**content, **changes}


def write(folder: Path, content: dict[str, Any]) -> Path:
    (folder / "card.yaml").write_text(yaml.safe_dump(content))
    return folder / "card.yaml"


def test_a_card_becomes_a_likelihood_of_both_kinds_of_data(folder: Path) -> None:
    runcard = Runcard.load(write(folder, card()))
    likelihood = runcard.likelihood()
    assert likelihood.operators == ("OpW", "OpqMi")
    assert likelihood.bounds == runcard.bounds == {"OpW": (-1.0, 2.0), "OpqMi": (-3.0, 3.0)}
    assert [d.name for d in likelihood.datasets] == ["binned", "zh"]
    assert runcard.output == folder / "results" / "test"
    values = likelihood.terms({"OpW": 0.3})
    assert set(values) == {"binned", "zh"}
    assert all(v != 0 for v in values.values())


def test_both_bases_give_the_same_physics(folder: Path) -> None:
    """cHq1 alone in the Warsaw basis is OpqMi alone in SMEFiT's; cHq3 alone is O3pq - OpqMi."""
    smefit = Runcard.from_dict(card(coefficients={"OpW": {}, "OpqMi": {}, "O3pq": {}}), folder).likelihood()
    free = {"cHW": {}, "cHq1": {}, "cHq3": {}}
    warsaw = Runcard.from_dict(card(basis="warsaw", coefficients=free), folder).likelihood()
    alone = Runcard.from_dict(card(basis="warsaw", coefficients={"cHq3": {}}, datasets=[BINNED]), folder)
    point = {"cHW": 0.3, "cHq1": -0.1, "cHq3": 0.05}
    same = {"OpW": 0.3, "OpqMi": -0.15, "O3pq": 0.05}
    assert warsaw.m2logl(point) == pytest.approx(float(smefit.m2logl(same)))
    expected = smefit.terms({"OpqMi": -0.05, "O3pq": 0.05})["binned"]
    assert alone.likelihood().m2logl({"cHq3": 0.05}) == pytest.approx(float(expected))


def test_fixed_and_dependent_coefficients_reach_the_likelihood(folder: Path) -> None:
    block = {"OpW": {}, "OpqMi": {"constrain": [{"OpW": 2.0}]}, "OpB": {"constrain": True, "value": 0.1}}
    likelihood = Runcard.from_dict(card(coefficients=block), folder).likelihood()
    free = Runcard.from_dict(card(coefficients={"OpW": {}, "OpqMi": {}, "OpB": {}}), folder).likelihood()
    assert likelihood.m2logl({"OpW": 0.2}) == pytest.approx(
        float(free.m2logl({"OpW": 0.2, "OpqMi": 0.4, "OpB": 0.1}))
    )
    assert likelihood.coefficients([0.2]) == pytest.approx({"OpW": 0.2, "OpqMi": 0.4, "OpB": 0.1})


def test_the_card_of_smefit_is_read_here(folder: Path) -> None:
    chi2 = {"zh": {"path": "plugins.smefit.unbinned", "file": "zh.safetensors"}}
    content = card(datasets=[{"name": BINNED, "order": "LO"}], external_chi2=chi2)
    content |= dict.fromkeys((*SAMPLER_KEYS, *LABELS), 1)
    off = ("rge", "rot_to_fit_basis", "cutoff_scale", "single_parameter_fits", "n_replica")
    content |= dict.fromkeys(off) | {"pairwise_fits": False, "uv_couplings": True, "n_samples": 10}
    ours, theirs = Runcard.from_dict(card(), folder), Runcard.from_dict(content, folder)
    assert theirs.likelihood().m2logl([0.1, 0.2]) == pytest.approx(
        float(ours.likelihood().m2logl([0.1, 0.2]))
    )


def test_relative_paths_start_at_the_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder, card(datasets=[{"name": "zh", "unbinned": "zh.safetensors"}]))
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert isinstance(Runcard.load(path).likelihood(), Likelihood)
    monkeypatch.chdir(folder)
    assert isinstance(Runcard.load("card.yaml").likelihood(), Likelihood)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datsets": []}, "unknown key 'datsets'; known are datasets, .*Did you mean 'datasets'"),
        ({3: 1}, "unknown key 3"),
        ({"datasets": ...}, "needs the key 'datasets' with at least one entry"),
        ({"coefficients": {}}, "needs the key 'coefficients'"),
        ({"datasets": "ZH"}, "datasets must be a list, got str"),
        ({"datasets": [{"order": "LO"}]}, "a dataset entry needs a name"),
        ({"datasets": [3]}, "a dataset entry needs a name, got 3"),
        ({"datasets": [{"name": "a", "ordr": "LO"}]}, "dataset a: unknown key 'ordr'. Did you mean 'order'"),
        ({"datasets": [{"name": "a", "order": 1}]}, "dataset a: order must be text, got 1"),
        ({"datasets": [{"name": "a", "poisson": 1}]}, "dataset a: poisson must be text, got 1"),
        (
            {"datasets": [{"name": "a", "poisson": "x", "unbinned": "y"}]},
            "dataset a: give either unbinned or poisson, not both",
        ),
        ({"datasets": [{"name": "a", "file": "x"}]}, "dataset a: unknown key 'file'"),
        ({"datasets": ["a", {"name": "a"}]}, "datasets listed twice: a"),
        ({"coefficients": ["OpW"]}, r"coefficients must be dict, got \['OpW'\]"),
        ({"use_quad": "yes"}, "use_quad must be bool, got 'yes'"),
        ({"nlive": True}, "nlive must be int, got True"),
        ({"nlive": 0}, "nlive must lie between 1 and .*got 0"),
        ({"frac_remain": 1.5}, "frac_remain must lie between .*got 1.5"),
        ({"frac_remain": float("nan")}, "frac_remain must lie between"),
        ({"seed": -1}, "seed must lie between 0 and 4294967295, got -1"),
        ({"basis": "warsow"}, "unknown basis 'warsow'; known are smefit, warsaw, .*Did you mean 'warsaw'"),
        ({"rge": 91.2}, "rge must be dict, got 91.2"),
        (
            {"rge": {"init_scale": 1}, "basis": "warsaw"},
            "rge needs coefficients of basis 'smefit', got basis",
        ),
        ({"order": "NLO"}, "the key 'order' has no effect in SMEFiT 4; write 'default_order'"),
        ({"cutoff_scale": 0}, "cutoff_scale must lie between 1e-09 and .*got 0"),
        ({"cutoff_scale": "low"}, "cutoff_scale must be float, got 'low'"),
        ({"n_samples": -1}, "n_samples must lie between 0 and"),
        ({"data_path": []}, "data_path must be a folder or a list of folders, got"),
        ({"data_path": ["a", 1]}, "data_path must be a folder or a list of folders, got"),
        ({"single_parameter_fits": 1}, "single_parameter_fits must be bool, got 1"),
        (
            {"single_parameter_fits": True, "pairwise_fits": True},
            "pairwise_fits exclude each other; choose one",
        ),
        ({"coefficients": {"Opd": {}}}, "the coefficient Opd is called OpBox now; rename it"),
        ({"datasets": [{"name": "a", "scale": 1.0}]}, "dataset a: scale is for exported datasets"),
        (
            {"datasets": [{"name": "a", "unbinned": "x", "scale": -1}]},
            "a: scale must be a positive number in GeV",
        ),
        ({"external_chi2": ["a"]}, "external_chi2 must be a mapping"),
        (
            {"external_chi2": {"a": {"path": "other.py"}}},
            "'a': no unbinned dataset of this package; remove it",
        ),
        (
            {"external_chi2": {"a": {"path": "other.py"}, "b": {"path": "plugins.smefit.unbinned.py"}}},
            "'a', 'b': no unbinned datasets of this package; remove them",
        ),
        (
            {"external_chi2": {"a": {"path": "plugins.smefit.unbinned.py", "file": "x", "nlo": 1}}},
            "external_chi2 a: unknown key 'nlo'",
        ),
    ],
)
def test_a_mistake_in_a_card_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^my card:? .*{message}"):
        Runcard.from_dict({k: v for k, v in {**card(), **changes}.items() if v is not ...}, source="my card")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"coefficients": {"OpWW": {}}},
            "no dataset constrains OpWW; known operators .*Did you mean 'OpWB?'",
        ),
        ({"coefficients": {"cHW": {}}}, "no dataset constrains cHW"),
        ({"coefficients": {"OpW": {"min": 1, "max": 0}}}, "coefficient OpW: the prior range .* is empty"),
        (
            {"coefficients": {"OpW": {}, "OpqMi": {"constrain": {"OpWW": 1}}}},
            "by 'OpWW', not a .*Did you mean 'OpW'",
        ),
        ({"datasets": ["ZH_14TeV_STSX"]}, "datasets not found .*ZH_14TeV_STSX"),
        ({"datasets": [{"name": "zh", "unbinned": "zh.safetensor"}]}, "no such file: .*Did you mean 'zh.saf"),
        ({"datasets": [{"name": "binned", "unbinned": "zh.safetensors"}, BINNED]}, "repeated: binned"),
        ({"data_path": "absent"}, "no such folder"),
    ],
)
def test_a_mistake_about_the_data_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        Runcard.from_dict(card(**changes), folder).likelihood()


def test_files_that_are_no_cards_are_refused(folder: Path) -> None:
    write(folder, card())
    with pytest.raises(InputError, match=r"no such runcard: .*cart.yaml. Did you mean 'card.yaml'"):
        Runcard.load(folder / "cart.yaml")
    with pytest.raises(InputError, match="not a readable YAML runcard"):
        Runcard.load(folder)
    bad = folder / "bad.yaml"
    for content in (b"a: [1, 2", b"\xff\xfe\x00a", b"[" * 5000, b"2020-99-99", b"!!bool x", b"? {a: b}\n: 1"):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"bad.yaml is not a readable YAML runcard"):
            Runcard.load(bad)
    for content in (b"", b"- a", b"text"):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"bad.yaml must hold keys and values"):
            Runcard.load(bad)
    bad.write_bytes(b"a: " + b"x" * 5 * 2**20)
    with pytest.raises(InputError, match="larger than 4 MiB"):
        Runcard.load(bad)


def test_nested_aliases_do_not_fill_the_memory(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    (folder / "bomb.yaml").write_text("\n".join([*lines, "datasets: [*a29]", "coefficients: {OpW: *a29}"]))
    with pytest.raises(InputError, match="all aliases written out"):
        Runcard.load(folder / "bomb.yaml")
    content = yaml.safe_load((folder / "bomb.yaml").read_text())
    for changes in ({"datasets": content["datasets"]}, {"coefficients": content["datasets"]}):
        with pytest.raises(InputError) as caught:
            Runcard.from_dict(card(**changes))
        assert len(str(caught.value)) < 10_000
    with pytest.raises(InputError, match="coefficient OpW"):
        _ = Runcard.from_dict(card(coefficients=content["coefficients"])).bounds


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
names = st.sampled_from(["name", "order", "unbinned", "path", "file", "min", "max", "constrain", "a"])
anything = st.recursive(
    scalars,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(names | scalars, x, max_size=3),
    max_leaves=15,
)
fields = st.sampled_from([*Runcard.__dataclass_fields__, "external_chi2", "order", "Model name", "nlve"])


@given(st.dictionaries(fields | st.text(max_size=5), anything, max_size=5))
def test_random_cards_are_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        runcard = Runcard.from_dict({**card(), **changes})
        _ = runcard.bounds
    except InputError:
        return
    assert runcard.datasets
    assert isinstance(runcard.output, Path)


@given(st.text(alphabet="ab:-[]{}&*!? \n\t'\"#|>%@,0127.eE+_", max_size=40))
def test_random_yaml_is_read_or_a_value_error(text: str) -> None:
    try:
        content = parse(text)
    except ValueError:
        return
    with pytest.raises(InputError):
        Runcard.from_dict(content)


def test_defaults_are_recorded_in_the_card(folder: Path) -> None:
    runcard = Runcard.load(write(folder, card(nlive=123, seed=None)))
    assert (runcard.nlive, runcard.seed, runcard.basis, runcard.use_quad) == (123, 0, "smefit", True)
    assert np.isclose(runcard.frac_remain, 0.01)


def test_a_misspelt_operator_of_a_binned_card_gets_a_hint(folder: Path) -> None:
    wrong = Runcard.from_dict(card(datasets=[BINNED], coefficients={"OpBoxx": {}}), folder)
    with pytest.raises(InputError, match=r"constrains OpBoxx; known operators are .*Did you mean 'OpBox'"):
        wrong.likelihood()
    left_out = Runcard.from_dict(card(datasets=[BINNED], coefficients={"OpW": {}}), folder).load_datasets()
    with pytest.raises(InputError, match="OpBox was left out when its dataset was loaded"):
        Likelihood(left_out, ["OpBox"])


def test_operators_that_the_basis_lacks_are_told(folder: Path, make_unbinned) -> None:
    likelihood = Runcard.from_dict(card(), folder).likelihood()
    assert likelihood.datasets[1].metadata["operators_set_to_zero"] == ["cHWtil"]
    told = "zh: cHWtil set to zero, basis 'smefit' has no such coefficient"
    assert [c for c in caveats(likelihood) if "set to zero" in c] == [told]
    warsaw = Runcard.from_dict(card(basis="warsaw", coefficients={"cHW": {}}), folder).likelihood()
    assert "operators_set_to_zero" not in warsaw.datasets[1].metadata
    assert not [c for c in caveats(warsaw) if c.startswith("zh")]
    make_unbinned(1, operators=("cHWtil",)).save(folder / "odd.safetensors")
    odd = card(datasets=[BINNED, {"name": "odd", "unbinned": "odd.safetensors"}])
    with pytest.raises(InputError, match=r"'odd': none of its operators \(cHWtil\) exists in basis 'smefit'"):
        Runcard.from_dict(odd, folder).likelihood()
    unknown = Runcard.from_dict(card(basis="unknown"), folder)
    with pytest.raises(InputError, match="binned datasets have no coefficients of basis 'unknown'"):
        unknown.load_datasets()


def test_a_card_may_hold_external_chi2_alone(folder: Path) -> None:
    content = card(external_chi2={"zh": {"path": "plugins.smefit.unbinned.py", "file": "zh.safetensors"}})
    del content["datasets"]
    assert [d.name for d in Runcard.from_dict(content, folder).likelihood().datasets] == ["zh"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nnlive: 2\nseed: 3\n", "key 'seed' is given twice, in lines 1 and 3; keep one"),
        ("coefficients:\n  OpW: {min: -1, max: 1, min: 0}\n", "key 'min' is given twice, in lines 2 and 2"),
    ],
)
def test_a_key_given_twice_is_named(folder: Path, text: str, message: str) -> None:
    (folder / "card.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        Runcard.load(folder / "card.yaml")


def test_merged_keys_are_not_given_twice() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n"
    assert parse(text) == yaml.safe_load(text)


def test_a_histogram_is_a_dataset_of_a_card(folder: Path, make_ratios) -> None:
    yields = make_ratios(3, 5, ("cHW", "cHq1", "cHWtil")).dense() * 20.0
    histogram = PoissonDataset("other", yields, [15, 16, 17, 18, 19], metadata={"notes": ["few"]})
    histogram.save(folder / "h.dataset")
    content = card(datasets=[{"name": "h", "poisson": "h.dataset"}, *card()["datasets"]])
    likelihood = Runcard.load(write(folder, content)).likelihood()
    value = likelihood.terms({"OpW": 0.3, "OpqMi": -0.1})["h"]
    assert value == pytest.approx(float(histogram.m2logl({"cHW": 0.3, "cHq1": -0.1})))
    told = [c for c in caveats(likelihood) if c.startswith("h")]
    assert told == [
        "h: few",
        "h: cHWtil set to zero, basis 'smefit' has no such coefficient",
    ]
    chi2 = {"h": {"path": "plugins.smefit.unbinned.py", "file": "h.dataset"}}
    theirs = Runcard.from_dict(card(external_chi2=chi2), folder).likelihood()
    assert theirs.terms({"OpW": 0.3, "OpqMi": -0.1})["h"] == pytest.approx(value)
    for name, file in (("poisson", "zh.safetensors"), ("unbinned", "h.dataset")):
        wrong = Runcard.from_dict(card(datasets=[{"name": "h", name: file}]), folder)
        with pytest.raises(InputError, match=f"holds '.*', expected '{name} dataset'"):
            wrong.likelihood()
