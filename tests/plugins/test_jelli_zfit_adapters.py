"""The adapters of jelli and zfit as far as they go without them."""

from __future__ import annotations

import json
from importlib import import_module, metadata
from pathlib import Path

import pytest

from smeft_unbinned import InputError, UnbinnedDataset
from smeft_unbinned.fitters import registry

ADAPTERS = {"jelli": ("UnbinnedLikelihood", "0.2"), "zfit": ("UnbinnedLoss", "0.27.1")}
"""What each gives, and a version that was never tried."""


@pytest.mark.parametrize("name", ADAPTERS)
def test_without_the_fitter_it_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    adapter, (gives, version) = import_module(f"plugins.{name}"), ADAPTERS[name]
    monkeypatch.setattr(registry.metadata, "version", absent)
    with pytest.raises(InputError, match=rf"{name} is not installed; install it with pip install"):
        getattr(adapter, gives)
    monkeypatch.setattr(registry.metadata, "version", lambda package: version)
    with pytest.raises(InputError, match=rf"{name} {version} is installed, but the adapter works with >="):
        getattr(adapter, gives)
    with pytest.raises(AttributeError, match="no attribute 'Likelihood'"):
        adapter.Likelihood  # noqa: B018


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_snippet_and_the_example_are_python(name: str, tmp_path: Path) -> None:
    compile(import_module(f"plugins.{name}").FITTER.with_file("zh.dataset"), "snippet", "exec")
    paths = import_module(f"plugins.{name}.example.make").make(tmp_path)
    script = paths["fit.py"].read_text(encoding="utf-8")
    compile(script, "fit.py", "exec")
    for operator in UnbinnedDataset.load(paths["zh.dataset"]).operators:
        assert f'"{operator}"' in script


def test_the_data_for_jelli(tmp_path: Path) -> None:
    paths = import_module("plugins.jelli.example.make").make(tmp_path)
    rate, measurement = (json.loads(paths[f"data/{n}.json"].read_text()) for n in ("rate", "measurement"))
    assert rate["data"]["observable_central"]["('', '', 'RR')"] == [1.0]
    assert measurement["measurement of rate"][0]["observables"] == rate["metadata"]["observable_names"]
