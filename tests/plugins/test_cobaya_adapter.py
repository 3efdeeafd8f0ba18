"""The adapter of cobaya as far as it goes without cobaya."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import yaml

import plugins.cobaya
from plugins.cobaya.example.make import make
from smeft_unbinned import InputError, UnbinnedDataset
from smeft_unbinned.fitters import registry


def test_without_cobaya_the_likelihood_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(registry.metadata, "version", absent)
    with pytest.raises(InputError, match=r"cobaya is not installed; install it with pip install"):
        plugins.cobaya.Unbinned  # noqa: B018
    monkeypatch.setattr(registry.metadata, "version", lambda package: "3.5.7")
    with pytest.raises(InputError, match=r"cobaya 3\.5\.7 is installed, but the adapter works with >=3\.6"):
        plugins.cobaya.Unbinned  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Binned'"):
        plugins.cobaya.Binned  # noqa: B018


def test_the_snippet_is_an_input_file() -> None:
    card = yaml.safe_load(plugins.cobaya.FITTER.with_file("zh.dataset"))
    assert card["likelihood"]["zh_14tev"]["file"] == "zh.dataset"
    assert {*card} == {"likelihood", "params", "sampler"}


def test_the_files_of_the_example(tmp_path: Path) -> None:
    paths = make(tmp_path)
    card = yaml.safe_load(paths["fit.yaml"].read_text(encoding="utf-8"))
    for name, entry in card["likelihood"].items():
        dataset = UnbinnedDataset.load(tmp_path / entry["file"]).in_basis(entry["basis"])
        assert dataset.name == name
        assert {*dataset.operators} <= {*card["params"]}
