"""Data that some of these tests need and that the project does not ship."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def database() -> Path:
    """The folder of binned SMEFT predictions."""
    root = os.environ.get("SMEFT_UNBINNED_DATA")
    if not root:
        pytest.skip("set SMEFT_UNBINNED_DATA to the folder that holds smefit_database")
    folder = Path(root) / "smefit_database"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def pdfdata() -> Path:
    """The folder of LHAPDF-format grids that the optional package pythia8mc installs."""
    xml = os.environ.get("PYTHIA8DATA")
    folders = [Path(xml).parent / "pdfdata"] if xml else []
    folders.append(Path(sys.prefix) / "share" / "Pythia8" / "pdfdata")
    for folder in folders:
        if folder.is_dir():
            return folder
    pytest.skip("needs the grids of pythia8mc: pip install pythia8mc, or set PYTHIA8DATA")
