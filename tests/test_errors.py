"""Messages: the nearest known name, install hints, and shortened values."""

from __future__ import annotations

import pytest

import smeft_unbinned
from smeft_unbinned.errors import InputError, brief, nearest, require


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("cHw", ["cHW", "cHB"], " Did you mean 'cHW'?"),
        ("datsets", ["coefficients", "datasets"], " Did you mean 'datasets'?"),
        ("xyz", ["cHW"], ""),
        ("xyz", [], ""),
        (3, ["cHW"], ""),
    ],
)
def test_nearest(name: str, known: list[str], expected: str) -> None:
    assert nearest(name, known) == expected


def test_a_missing_extra_says_how_to_install_it() -> None:
    with pytest.raises(InputError, match=r"'no_such_thing', .*pip install 'smeft-unbinned\[nested\]'"):
        require("no_such_thing", "nested")
    assert require("json", "x").__name__ == "json"


def test_a_broken_dependency_is_not_taken_for_a_missing_one(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_dependency.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        require("broken_dependency", "nested")


def test_long_values_are_shortened() -> None:
    bomb: list[object] = ["x"]
    for _ in range(60):
        bomb = [bomb] * 9
    assert len(brief(bomb)) < 10_000
    assert brief("short") == "'short'"


def test_every_public_name_exists() -> None:
    for name in smeft_unbinned.__all__:
        assert getattr(smeft_unbinned, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = smeft_unbinned.nothing
    assert issubclass(InputError, ValueError)
