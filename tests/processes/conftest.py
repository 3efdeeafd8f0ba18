"""Data that some of these tests need and that the project does not ship."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def database(data_root: Path) -> Path:
    """The folder of binned SMEFT predictions."""
    return data_root / "smefit_database"


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
