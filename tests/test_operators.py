"""Translations between the bases: inverse to one another, and the same physics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned import InputError, Polynomial
from smeft_unbinned.operators import (
    BASES,
    WARSAW_IN_SMEFIT,
    expressible,
    incomplete,
    translatable,
    translate,
    translation,
)
from smeft_unbinned.polynomial import size


def test_the_currents_combine_as_in_the_warsaw_basis() -> None:
    """OpqMi is the operator of cHq1 - cHq3, O3pq that of cHq3 (arXiv:2105.00006, table 2.5)."""
    names, matrix = translation(["cHq1", "cHq3"], "warsaw", "smefit")
    assert names == ("OpqMi", "O3pq")
    np.testing.assert_array_equal(matrix, [[1, 1], [0, 1]])
    names, matrix = translation(["OpqMi"], "smefit", "warsaw")
    assert dict(zip(names, matrix[0], strict=True)) == {"cHq1": 1.0, "cHq3": -1.0}


def test_there_and_back_is_the_identity() -> None:
    source = tuple(WARSAW_IN_SMEFIT)
    middle, there = translation(source, "warsaw", "smefit")
    end, back = translation(middle, "smefit", "warsaw")
    permuted = [end.index(name) for name in source]
    np.testing.assert_allclose((there @ back)[:, permuted], np.eye(len(source)), atol=1e-15)


@given(st.integers(0, 2**31))
def test_translated_forms_have_the_same_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = tuple(rng.permutation(list(WARSAW_IN_SMEFIT))[:4])
    form = Polynomial(names, rng.normal(size=(2, size(4))))
    new = translate(form, "warsaw", "smefit")
    point = dict(zip(new.operators, rng.normal(size=len(new.operators)), strict=True))
    old = {w: sum(x * point[s] for s, x in WARSAW_IN_SMEFIT[w].items()) for w in names}
    np.testing.assert_allclose(new.evaluate(point), form.evaluate(old), rtol=1e-10, atol=1e-12)
    assert translate(form, "warsaw", "warsaw") is form


def test_what_can_be_expressed() -> None:
    assert expressible(["cHW", "cHWtil"], "warsaw", "smefit") == ("cHW",)
    assert expressible(["cHW", "cHWtil"], "warsaw", "warsaw") == ("cHW", "cHWtil")
    assert set(translatable("warsaw", "smefit")) == set(WARSAW_IN_SMEFIT)
    assert BASES == ("smefit", "warsaw")


def test_what_cannot_is_an_error_with_a_remedy() -> None:
    with pytest.raises(InputError, match=r"cHWtil, xyz of basis 'warsaw' cannot be written.*restrict\(\)"):
        translation(["cHW", "cHWtil", "xyz"], "warsaw", "smefit")
    with pytest.raises(
        InputError, match=r"unknown basis 'Warsaw'; known are smefit, warsaw. Did you mean 'warsaw'"
    ):
        translation(["cHW"], "Warsaw", "smefit")


def test_what_a_translation_leaves_out_is_named() -> None:
    """O3pq moves cHq1 and cHq3 together: one of them alone does not describe it."""
    assert incomplete(["cHW", "cHq1"], "warsaw", "smefit") == {"O3pq": ["cHq3"]}
    assert incomplete(["cHq1", "cHq3"], "warsaw", "smefit") == {}
    assert incomplete(["cHq3"], "warsaw", "warsaw") == {}


def test_no_operators_translate_to_none() -> None:
    names, matrix = translation([], "warsaw", "smefit")
    assert names == ()
    assert matrix.shape == (0, 0)
