"""Cards and schemes: what they may hold, and the one line that refuses what they may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from known_events import compared, two

from smeft_unbinned import InputError
from smeft_unbinned.comparison import ComparisonCard, parse_schemes

GOOD: dict[str, Any] = {"events": "a.events", "luminosity": 300}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lumi": 3}, "Did you mean 'luminosity'?"),
        ({"luminosity": None}, "needs a luminosity above zero"),
        ({"luminosity": 0}, "needs a luminosity above zero"),
        ({"luminosity": "much"}, "luminosity must be float"),
        ({"efficiency": -1}, "efficiency above zero"),
        ({"process": {"name": "ZH"}}, "either events, a file, or process"),
        ({"events": None}, "either events, a file, or process"),
        ({"events": None, "process": {"name": "ZX"}}, "unknown process 'ZX'"),
        ({"events": None, "process": {"n": 3}}, "process needs a name"),
        ({"events": None, "process": {"name": "ZH", "n": "x"}}, "n of the process"),
        ({"events": None, "process": {"name": "ZH", "sed": 1}}, "Did you mean 'seed'?"),
        ({"model": "a", "train": {}}, "model and train exclude each other"),
        ({"quadratic": "some"}, "quadratic is true, false or both"),
        ({"levels": [0.5, 1.0]}, "levels are different numbers between 0 and 1"),
        ({"levels": [0.5, 0.5]}, "levels are different numbers"),
        ({"operators": []}, "operators must be different names"),
        ({"at": {"cHW": "x"}}, "at needs numbers"),
        ({"members": "all"}, "members is one of alone, both, none"),
        ({"contours": "every"}, "contours is all, none, auto"),
        ({"contours": [["cHW"]]}, "contours lists pairs"),
        ({"seed": -1}, "seed lies between"),
        ({"schemes": "rate"}, "schemes must be a list"),
        ({"schemes": ["rat"]}, "Did you mean 'rate'?"),
    ],
)
def test_a_bad_card_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words.replace("?", r"\?")):
        ComparisonCard.from_dict({**GOOD, **change})


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ({"bins": {"x": [0, 2, 1]}}, "edges must increase, got 1 after 2"),
        ({"bins": {"x": [0, 1, 1, 2]}}, "the bin from 1 to 1 is empty"),
        ({"bins": {"x": [[0, 2], [1, 3]]}}, "the bins 0 to 2 and 1 to 3 overlap"),
        ({"bins": {"x": [[2, 3], [0, 1]]}}, "the bin from 0 comes after that from 2; sort them"),
        ({"bins": {"x": [1]}}, "edges are at least two numbers"),
        ({"bins": {"x": ["a", 2]}}, "edges are at least two numbers"),
        ({"bins": {"x": [0, float("nan"), 2]}}, "edges are at least two numbers"),
        ({"bins": []}, "takes edges by feature"),
        ({"equal": ["x"]}, "numbers of bins per feature"),
        ({"equal": ["x"], "n": 1}, "numbers of bins per feature"),
        ({"equal": ["x", "x"], "n": 3}, "different features"),
        ({"score": 0}, "numbers of bins per score"),
        ({"score": 4, "n": 3}, "n has no use here"),
        ({"rate": 3}, "takes no value"),
        ({"rate": True, "stxs": True}, "a scheme needs one of"),
        ({"rate": True, "likelihood": "normal"}, "likelihood is poisson, gaussian or both"),
        ({"equal": ["x"], "n": 3, "operators": ["a"]}, "operators are for score"),
        ({"n": 3}, "a scheme needs one of"),
        (3, "a scheme is a name or a mapping"),
    ],
)
def test_a_bad_scheme_is_refused(scheme: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_schemes([scheme])


def test_two_schemes_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="schemes of one name: rate"):
        parse_schemes(["rate", "rate"])


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ({"bins": {"z": [0, 1]}}, "no feature 'z'; they have x, y"),
        ({"equal": ["z"], "n": 2}, "no feature 'z'"),
        ({"optimal": ["z"], "n": 2}, "no feature 'z'"),
        ({"score": 2, "operators": ["c"]}, "'c' is no coefficient of the comparison"),
        ({"bins": {"x": [0, 1, 50, 60]}}, "the bin of x from 50 to 60 holds none of the 4000 events"),
        ({"equal": ["x", "y"], "n": 100}, "10000 bins for 4000 events"),
        ("stxs", "stxs is for ZH and WH"),
        (
            {"equal": ["x"], "n": 1000, "likelihood": "gaussian"},
            "fewer than 5 events.*take likelihood: poisson",
        ),
    ],
)
def test_what_the_events_do_not_fit_is_refused(scheme: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        compared(tmp_path, two(), [scheme])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"operators": ["a", "d"]}, "the events do not depend on d"),
        ({"at": {"d": 1.0}}, "'d' is no coefficient"),
        ({"contours": [["a", "d"]]}, "contours: 'd' is no coefficient"),
        ({"model": "no.model"}, "no.model"),
        ({"global": "no.yaml"}, "no such runcard"),
    ],
)
def test_what_the_card_points_to_must_be_there(keys: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        compared(tmp_path, two(), [], **keys)


def test_names_and_families() -> None:
    schemes = parse_schemes(
        [
            "rate",
            {"equal": ["x", "y"], "n": [2, 4]},
            {"score": [3], "name": "s"},
            {"rate": None, "likelihood": "gaussian"},
        ]
    )
    assert [s.name for s in schemes] == [
        "rate", "x x y, 2^2 equal bins", "x x y, 4^2 equal bins", "s, n = 3", "rate, Gaussian",
    ]  # fmt: skip
    assert [s.family for s in schemes] == ["", "x x y", "x x y", "s", ""]
    assert parse_schemes([{"bins": {"x": [0, 1, float("inf")]}}])[0].bins["x"] == (
        (0.0, 1.0),
        (1.0, float("inf")),
    )
