"""What the adapters of flavio and smelli say where these are absent, too old, or broken by a package."""

from __future__ import annotations

from importlib import import_module, metadata

import pytest

from smeft_unbinned import InputError

ADAPTERS = [("flavio", "add_unbinned"), ("smelli", "GlobalLikelihood")]
INSTALLED = {"flavio": "2.7.1", "smelli": "2.4.3", "particle": "0.26.2"}


def installed(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    def version(package: str) -> str:
        if package not in versions:
            raise metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(("fitter", "name"), ADAPTERS)
@pytest.mark.parametrize(
    ("versions", "match"),
    [
        ({}, r"{} is not installed; install it with pip install 'smeft-unbinned\[{}\]'"),
        ({"flavio": "1.0", "smelli": "1.0"}, "{} 1.0 is installed, but the adapter works with >=2"),
        ({**INSTALLED, "particle": "1.1.0"}, "tables that particle 1.1.0 no longer has.*'particle<1'"),
    ],
)
def test_what_is_missing_is_said(
    fitter: str, name: str, versions: dict[str, str], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, versions)
    with pytest.raises(InputError, match=match.format(fitter, fitter)):
        getattr(import_module(f"plugins.{fitter}"), name)


def test_smelli_needs_flavio_in_a_version_that_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, {**INSTALLED, "flavio": "2.8.0"})
    with pytest.raises(InputError, match=r"flavio 2\.8\.0 is installed, but the adapter works with"):
        import_module("plugins.smelli").GlobalLikelihood  # noqa: B018


@pytest.mark.parametrize(("fitter", "name"), ADAPTERS)
def test_other_names_do_not_exist(fitter: str, name: str) -> None:
    with pytest.raises(AttributeError, match=f"'plugins.{fitter}' has no attribute '{name}s'"):
        getattr(import_module(f"plugins.{fitter}"), f"{name}s")
