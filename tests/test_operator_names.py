"""Names and units of every basis: golden values of SMEFiT's translation, round trips, flavour assumptions."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smeft_unbinned import InputError, Polynomial
from smeft_unbinned.operators import (
    NAME_SETS,
    expressible,
    from_wcxf,
    to_wcxf,
    translatable,
    translate,
    translation,
)
from smeft_unbinned.operators_table import COS, DEFINITIONS, FLAVOUR, GS, SIN, forward
from smeft_unbinned.polynomial import size

GOLDEN = json.loads((Path(__file__).parent / "golden_smefit_names.json").read_text(encoding="utf-8"))


def test_every_entry_as_smefit_translates_it() -> None:
    got = to_wcxf(GOLDEN["smefit_point"], "smefit")
    assert set(got) == set(GOLDEN["warsaw_point"])
    for entry, value in GOLDEN["warsaw_point"].items():
        assert got[entry] == pytest.approx(1e-6 * value, rel=1e-12), entry
    back = from_wcxf({entry: 1e-6 * x for entry, x in GOLDEN["warsaw_point"].items()}, "smefit")
    assert back == pytest.approx(GOLDEN["back"], rel=1e-9, abs=1e-12)
    assert back == pytest.approx(GOLDEN["smefit_point"], rel=1e-9, abs=1e-12)
    assert len(back) == 118


def test_units() -> None:
    assert to_wcxf({"cHW": 2.0}, "warsaw") == {"phiW": pytest.approx(2e-6)}
    assert from_wcxf({"phiW": 2e-6}, "warsaw") == {"cHW": pytest.approx(2.0)}
    assert from_wcxf(to_wcxf({"phiq1_12": 3.0}, "wcxf"), "wcxf") == {"phiq1_12": pytest.approx(3.0)}


def test_factors_of_the_top_dipoles() -> None:
    """SMEFTatNLO's ctG has gs in its operator, dim6top's and SMEFTsim's have not."""
    point = {"ctG": 0.7, "ctW": 0.2, "ctZ": -0.4}
    nlo = to_wcxf(point, "smeftatnlo")
    assert nlo == pytest.approx(
        {"uG_33": -GS * 0.7e-6, "uW_33": -0.2e-6, "uB_33": (-0.4 - COS * 0.2) / SIN * 1e-6}
    )
    lo = to_wcxf({**point, "ctG": GS * 0.7}, "dim6top")
    assert lo == pytest.approx(nlo)
    names, matrix = translation(["ctGRe", "ctWRe", "ctBRe"], "smeftsim_top", "smefit")
    assert names == ("OtG", "OtW", "OtZ")
    np.testing.assert_allclose(matrix, [[-GS, 0, 0], [0, -1, 0], [0, -COS / SIN, 1 / SIN]])
    names, matrix = translation(["ctG"], "dim6top", "smeftatnlo")
    assert (names, matrix.item()) == (("ctG",), pytest.approx(GS))
    assert translation(["cdp"], "smeftatnlo", "warsaw")[1].item() == -1.0
    assert translation(["cWWW"], "smeftatnlo", "warsaw")[1].item() == -1.0


def test_definitions_of_the_lhc_top_working_group() -> None:
    """Spot checks of arXiv:1802.07237, appendix on degrees of freedom, entry by entry."""
    values = {"qq1_1331": 0.6, "qq3_1331": 0.2, "qq1_1133": -0.5, "qq3_1133": 0.3}
    values |= {entry.replace("1", "2").replace("qq2", "qq1"): x for entry, x in values.items()}
    got = from_wcxf({entry: 1e-6 * x for entry, x in values.items()}, "dim6top")
    assert got["cQq81"] == pytest.approx(0.6 + 3 * 0.2)
    assert got["cQq83"] == pytest.approx(0.6 - 0.2)
    assert got["cQq11"] == pytest.approx(-0.5 + 0.6 / 6 + 0.2 / 2)
    assert got["cQq13"] == pytest.approx(0.3 + 0.6 / 6 - 0.2 / 6)


@pytest.mark.parametrize("basis", list(DEFINITIONS))
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_points_survive_the_way_through_wcxf(basis: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    point = {name: float(x) for name, x in zip(DEFINITIONS[basis], rng.normal(size=500), strict=False)}
    assert from_wcxf(to_wcxf(point, basis), basis) == pytest.approx(point, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("source", "target"), [p for p in permutations(NAME_SETS, 2) if translatable(*p)])
def test_forms_keep_their_values(source: str, target: str) -> None:
    """A form translated takes, at a point of the target, the value at the same physics in the source."""
    rng = np.random.default_rng(0)
    known = translatable(source, target)
    assert expressible((*known, "nonsense"), source, target) == known
    _, matrix = translation(known, source, target)
    mixed = (matrix != 0) @ (matrix != 0).T  # operators that some operator of the target moves together
    chosen = rng.permutation(len(known)) < 3
    while not np.array_equal(chosen, wider := mixed @ chosen):
        chosen = wider
    names = tuple(name for name, one in zip(known, chosen, strict=True) if one)
    form = Polynomial(names, rng.normal(size=(3, size(len(names)))))
    new = translate(form, source, target)
    point = dict(zip(new.operators, rng.normal(size=len(new.operators)), strict=True))
    physics = to_wcxf(point, target)
    rows = DEFINITIONS.get(source) or {name: {name: 1.0} for name in names}
    old = {n: sum(x * physics.get(e, 0.0) * 1e6 for e, x in rows[n].items()) for n in names}
    np.testing.assert_allclose(new.evaluate(point), form.evaluate(old), rtol=1e-9, atol=1e-9)


def test_every_basis_states_its_flavour_symmetry() -> None:
    assert set(FLAVOUR) == set(NAME_SETS) == {*DEFINITIONS, "wcxf"}
    assert {"phid_11", "phid_22", "phid_33"} <= set(forward("smefit"))
    assert forward("dim6top")["qd8_3322"] == {"cQd8": 1.0}
    assert forward("dim6top")["qd8_3333"] == {"cQb8": 1.0}
    assert forward("warsaw")["ll_2222"] == {"cll": 1.0, "cll1": 1.0}


def test_what_a_symmetry_forbids_is_an_error() -> None:
    with pytest.raises(InputError, match=r"'smefit' \(U\(2\)_q.*cannot express phiq1_22 = 0 TeV"):
        from_wcxf({"phiq1_11": 1e-6}, "smefit")
    with pytest.raises(InputError, match="cannot express phiWtilde = 3"):
        from_wcxf({"phiWtilde": 3e-6}, "smefit")
    with pytest.raises(InputError, match="cannot express phiW = nan"):
        from_wcxf({"phiW": np.nan}, "smefit")
    with pytest.raises(InputError, match=r"no coefficient 'cHw'.*Did you mean 'cHW'"):
        to_wcxf({"cHw": 1.0}, "warsaw")
    with pytest.raises(InputError, match=r"unknown basis 'wcfx'.*Did you mean 'wcxf'.*smeftatnlo"):
        to_wcxf({}, "wcfx")
    with pytest.raises(InputError, match="phiq1_12 of basis 'wcxf' cannot be written in basis 'smefit'"):
        translation(["phiq1_12"], "wcxf", "smefit")


COLUMNS = ("smefit", "smeftatnlo", "dim6top", "warsaw", "smeftsim_top")
SYMBOLS = {1 / GS: "1/gs", SIN: "sin", COS: "cos"}


def _term(factor: float, entry: str) -> str:
    number = SYMBOLS.get(abs(factor), str(Fraction(abs(factor)).limit_denominator(24)))
    return f"{'−' if factor < 0 else '+'} {'' if number == '1' else number + ' '}{entry}"


def documented() -> str:
    """The table of docs/operators.md, from the definitions; run this module to print it."""
    rows: dict[str, dict[str, str]] = {}
    for basis in COLUMNS:
        for name, row in DEFINITIONS[basis].items():
            text = " ".join(_term(x, entry) for entry, x in row.items()).removeprefix("+ ")
            rows.setdefault(text, {})[basis] = name
    lines = [f"| Warsaw | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {text} | {' | '.join(row.get(b, '') for b in COLUMNS)} |" for text, row in rows.items()]
    return "\n".join(lines) + "\n"


def test_documentation_holds_the_table() -> None:
    page = Path(__file__).parents[1] / "docs" / "operators.md"
    assert documented() in page.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(documented(), end="")
