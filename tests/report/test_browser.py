"""The report in headless Chromium: no errors, fast, usable by mouse and keyboard, accessible in both themes.

Needs Chromium, node, and npm with its registry, see `browser/install`; CHROMIUM names the browser's
executable, unless it is found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smeft_unbinned.report import build, report

HERE = Path(__file__).parent / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 2.0
"""Until a page can be used, at the better of two tries: the machine may be busy."""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} in the path, and CHROMIUM is not set")
    return found


@pytest.fixture(scope="module")
def modules() -> str:
    """The folder of the packages that the checks need."""
    done = subprocess.run([HERE / "install"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr.strip() or "the packages of the checks cannot be installed")
    return done.stdout.strip()


def test_what_cannot_be_installed_is_told(tmp_path: Path) -> None:
    path, bash, dirname = tmp_path / "bin", shutil.which("bash"), shutil.which("dirname")
    if bash is None or dirname is None:
        pytest.skip("no bash here")
    path.mkdir()
    (path / "dirname").symlink_to(dirname)
    cache = tmp_path / "cache"
    environment = {"PATH": str(path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([bash, str(HERE / "install")], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr == (
        "no browser tests: node and npm are missing (Debian: apt-get install nodejs npm)\n"
    )
    if shutil.which("npm") is None:
        return
    environment |= {
        "PATH": os.environ["PATH"], "npm_config_cache": str(tmp_path / "npm"),
        "npm_config_fetch_retries": "0", "npm_config_registry": "http://127.0.0.1:9",
    }  # fmt: skip
    done = subprocess.run([bash, str(HERE / "install")], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("no browser tests: npm cannot install playwright-core and axe-core: ")
    assert list(cache.rglob("browser-*")) == []


def run(modules: str, chromium: str, page: Path, folder: Path, *more: str) -> dict[str, Any]:
    """Return what the script found; screenshots go to a folder."""
    folder.mkdir()
    command = ["node", str(HERE / "check.mjs"), modules, chromium, str(page), str(folder), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_reader(
    fits: dict[str, Path], paired: Path, failed: Path, files: Path, modules: str, chromium: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(build, "FORMATS", ())
    page = report([*fits.values(), paired, failed, files], tmp_path / "page.html")
    found = run(modules, chromium, page, tmp_path / "shots")
    assert found["errors"] == []
    assert set(found["requests"]) == {page.as_uri()}
    assert found["axe"] == {"light": [], "dark": []}
    assert {"button-name", "color-contrast"} <= set(found["planted"])  # faults put in are found
    assert min(found["seconds_light"], found["seconds_dark"]) < SECONDS
    charts = ["intervals", "profiles", "plane", "correlations", "fisher", "components", "chi2", "training",
              "comparison", "compared"]  # fmt: skip
    assert found["charts"] == charts
    assert found["tips"]["intervals"].startswith("cHW\ntwo: ")
    assert "failed" in found["tips"]["intervals"]
    assert "absent" in found["last_tip"]
    assert all(found["tips"][key] for key in charts if key in found["tips"])
    assert found["rows"] == [3, 2, 3]
    assert found["zoomed"]
    assert found["reset"]
    assert found["keyboard"]
    assert found["none"] == 1
    assert found["plane"] == ["cHW", "cHq3"]
    assert "two" in found["paired"]
    assert "pairs (two at a time)" in found["paired"]
    assert f"{failed.name}: failed" in found["paired"]
    assert found["other_pair"] == ["cHW", "cHu"]
    assert "pairs (two at a time)" in found["pair_keys"]
    assert "failed" not in found["pair_keys"]  # the failed fit has no cHu: it is absent, not failed
    assert found["versions"] == [3, 2, 3, 1, 2, 0, 3]  # at first, one switched off, then by the buttons
    assert found["compared_zoomed"]
    assert found["compared_reset"]
    assert [x.split(", ")[-1] for x in found["compared_pairs"]] == ["linear", "quadratic"]
    assert found["compared_second"]["curves"] == found["compared_second"]["boxes"] == 3
    assert found["compared_second"]["note"] == "At 95 %. No closed region: 4 bins."
    assert found["theme"] == "dark"
    assert found["paper"] == ["rgb(255, 255, 255)"] * 3  # in print, whatever the theme
    assert found["overflow"] == 0
    assert (tmp_path / "shots" / "page_light.png").stat().st_size > 10_000
    assert (tmp_path / "shots" / "print.pdf").read_bytes()[:4] == b"%PDF"


def test_fifty_coefficients(
    large: Path, modules: str, chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "FORMATS", ())
    page = report([large], tmp_path / "page.html")
    found = run(modules, chromium, page, tmp_path / "shots", "load")
    assert page.stat().st_size < 5e6
    assert found["errors"] == []
    assert min(found["seconds_light"], found["seconds_dark"]) < SECONDS


@pytest.mark.parametrize("kind", ["paired", "failed", "files"])
def test_pages_without_a_fit_of_all_coefficients(
    kind: str, modules: str, chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    monkeypatch.setattr(build, "FORMATS", ())
    page = report([request.getfixturevalue(kind)], tmp_path / "page.html")
    found = run(modules, chromium, page, tmp_path / "shots", "load")
    assert found["errors"] == []
    assert min(found["seconds_light"], found["seconds_dark"]) < SECONDS
