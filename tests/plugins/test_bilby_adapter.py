"""The adapter of bilby as far as it goes without bilby."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

import plugins.bilby
from plugins.bilby.example.make import make
from smeft_unbinned import InputError, UnbinnedDataset
from smeft_unbinned.fitters import registry


def test_without_bilby_the_likelihood_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(registry.metadata, "version", absent)
    with pytest.raises(InputError, match=r"bilby is not installed; install it with pip install"):
        plugins.bilby.UnbinnedLikelihood  # noqa: B018
    monkeypatch.setattr(registry.metadata, "version", lambda package: "2.7.0")
    with pytest.raises(InputError, match=r"bilby 2\.7\.0 is installed, but the adapter works with >=2\.8"):
        plugins.bilby.UnbinnedLikelihood  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Likelihood'"):
        plugins.bilby.Likelihood  # noqa: B018


def test_the_snippet_is_python() -> None:
    compile(plugins.bilby.FITTER.with_file("zh.dataset"), "snippet", "exec")


def test_the_files_of_the_example(tmp_path: Path) -> None:
    paths = make(tmp_path)
    script = paths["fit.py"].read_text(encoding="utf-8")
    compile(script, "fit.py", "exec")
    for name in UnbinnedDataset.load(paths["zh.dataset"]).in_basis("smefit").operators:
        assert f'"{name}": (-1, 1)' in script
