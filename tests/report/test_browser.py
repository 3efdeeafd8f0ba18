"""The report in headless Chromium: no errors, fast, usable by mouse and keyboard, accessible in both themes.

Needs node, npm with its registry or a cache, and Chromium; CHROMIUM names its executable, unless it is found.
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
def checks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of the checks and what it needs, installed as package-lock.json pins it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node and npm in the path")
    folder = tmp_path_factory.mktemp("browser")
    for path in HERE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm could not install playwright-core and axe-core: {done.stderr.strip()[-200:]}")
    return folder


def run(checks: Path, chromium: str, page: Path, folder: Path, *more: str) -> dict[str, Any]:
    """Return what the script found; screenshots go to a folder."""
    folder.mkdir()
    command = ["node", str(checks / "check.mjs"), chromium, str(page), str(folder), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_reader(
    fits: dict[str, Path], failed: Path, files: Path, checks: Path, chromium: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(build, "FORMATS", ())
    page = report([*fits.values(), failed, files], tmp_path / "page.html")
    found = run(checks, chromium, page, tmp_path / "shots")
    assert found["errors"] == []
    assert set(found["requests"]) == {page.as_uri()}
    assert found["axe"] == {"light": [], "dark": []}
    assert {"button-name", "color-contrast"} <= set(found["planted"])  # faults put in are found
    assert min(found["seconds_light"], found["seconds_dark"]) < SECONDS
    charts = ["intervals", "profiles", "plane", "correlations", "fisher", "components", "chi2", "training",
              "comparison"]  # fmt: skip
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
    assert found["theme"] == "dark"
    assert found["paper"] == ["rgb(255, 255, 255)"] * 3  # in print, whatever the theme
    assert found["overflow"] == 0
    assert (tmp_path / "shots" / "page_light.png").stat().st_size > 10_000
    assert (tmp_path / "shots" / "print.pdf").read_bytes()[:4] == b"%PDF"


def test_fifty_coefficients(
    large: Path, checks: Path, chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "FORMATS", ())
    page = report([large], tmp_path / "page.html")
    found = run(checks, chromium, page, tmp_path / "shots", "load")
    assert page.stat().st_size < 5e6
    assert found["errors"] == []
    assert min(found["seconds_light"], found["seconds_dark"]) < SECONDS
