"""Fitters: the list of them, and what it says of those that are absent or of another version."""

from __future__ import annotations

import json
from importlib import metadata

import pytest
from click.testing import CliRunner

from smeft_unbinned import InputError
from smeft_unbinned.cli import main
from smeft_unbinned.fitters import Fitter, fitters, registry

OURS = {"bilby", "cobaya", "flavio", "jelli", "smefit", "smelli", "zfit"}


def fitter(package: str = "numpy", versions: str = ">=1.0") -> Fitter:
    return Fitter("x", "a fitter", package, versions, f"pip install {package}", "use('{file}', {})", "x.md")


class Entry:
    """An entry point that gives a value, or raises it."""

    name, value, dist = "x", "nothing:here", None

    def __init__(self, gives: object) -> None:
        self.gives = gives

    def load(self) -> object:
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


def test_the_adapters_of_this_package_are_registered() -> None:
    names = [f.name for f in fitters()]
    assert names == sorted(names)
    assert {*names} >= OURS
    for found in fitters():
        assert "{file}" in found.snippet
        assert found.with_file("zh.dataset").count("zh.dataset") >= 1
        assert found.install.startswith("pip install")


def test_a_version_that_works() -> None:
    good = fitter()
    assert good.version == metadata.version("numpy")
    good.require()
    assert good.with_file("a.dataset") == "use('a.dataset', {})"


@pytest.mark.parametrize(
    ("package", "versions", "match"),
    [
        ("no-such-fitter", ">=1", r"no-such-fitter is not installed; install it with pip install"),
        ("numpy", ">=99", r"numpy \S+ is installed, but the adapter works with >=99"),
    ],
)
def test_absent_and_wrong_versions_are_refused(package: str, versions: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        fitter(package, versions).require()


def test_another_package_adds_a_fitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [Entry(fitter())])
    assert [f.name for f in fitters()] == ["x"]


@pytest.mark.parametrize(
    ("gives", "match"),
    [
        (ImportError("no module named y"), r"'x' \(nothing:here\) cannot be loaded: no module named y"),
        (3, "must name a smeft_unbinned.fitters.Fitter, got int"),
    ],
)
def test_a_broken_registration_is_named(gives: object, match: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [Entry(gives)])
    with pytest.raises(InputError, match=match):
        fitters()


def test_the_command_lists_shows_and_refuses() -> None:
    listed = CliRunner().invoke(main, ["fitters"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in OURS)
    shown = CliRunner().invoke(main, ["fitters", "smefit", "--file", "zh.dataset"])
    assert shown.exit_code == 0
    assert "zh.dataset" in shown.output
    assert "pip install" in shown.output
    found = json.loads(CliRunner().invoke(main, ["fitters", "--json"]).output)
    assert {f["name"] for f in found} >= OURS
    wrong = CliRunner().invoke(main, ["fitters", "smefitt"])
    assert wrong.exit_code == 2
    assert "Did you mean 'smefit'?" in wrong.output
