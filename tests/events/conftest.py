"""Fixtures of the event readers: the sample files, and a writer of small LHE files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of the sample event files; skips where SMEFT_UNBINNED_DATA does not name one."""
    root = os.environ.get("SMEFT_UNBINNED_DATA")
    if not root:
        pytest.skip("SMEFT_UNBINNED_DATA is not set: no sample files")
    folder = Path(root) / "samples"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not a folder: no sample files")
    return folder
