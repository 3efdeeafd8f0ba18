"""The wheel: what is in it, and that what is in it runs without the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("smeft_unbinned", "plugins", "theory_tables")
EXPECTED = (
    "smeft_unbinned/__init__.py",
    "smeft_unbinned/py.typed",
    "smeft_unbinned/cli/__init__.py",
    "plugins/smefit/unbinned.py",
    "plugins/smefit/runcard.py",
    "plugins/smefit/README.md",
    "plugins/smefit/example/card.yaml",
    "theory_tables/theory/ZH_14TeV_STXS.json",
    "theory_tables/commondata/ZH_14TeV_STXS.yaml",
)
PROBE = """
import json, sys
sys.path[:0] = [sys.argv[1]]
sys.path += json.loads(sys.argv[2])
import importlib
names = ("smeft_unbinned", "smeft_unbinned.cli", "plugins.smefit", "plugins.smefit.unbinned", "theory_tables")
files = {name: importlib.import_module(name).__file__ for name in names}
from smeft_unbinned import GaussianDataset
dataset = GaussianDataset.load([{"name": "ZH_14TeV_STXS"}])
print(json.dumps({"files": files, "operators": dataset.operators}))
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


def test_content(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (n for n in names if n.endswith(".dist-info/entry_points.txt"))
        assert "smeft-unbinned = smeft_unbinned.cli:main" in archive.read(entry_points).decode()
    assert not set(EXPECTED) - names
    modules = {str(p.relative_to(ROOT)) for package in PACKAGES for p in (ROOT / package).rglob("*.py")}
    assert not modules - names
    folders = {n.split("/")[0] for n in names}
    assert {f for f in folders if not f.endswith(".dist-info")} == set(PACKAGES)
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in names)


def test_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index")
    run(*pip, "--target", str(target), str(wheel), cwd=tmp_path)
    # -S leaves out site-packages with its link to the checkout; the dependencies come back without it
    dependencies = json.dumps([p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")])
    found = json.loads(run(sys.executable, "-I", "-S", "-c", PROBE, str(target), dependencies, cwd=tmp_path))
    for name, file in found["files"].items():
        assert Path(file).is_relative_to(target), f"{name} comes from {file}"
    assert "OpW" in found["operators"]
