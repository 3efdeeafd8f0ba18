"""Fixtures of the event readers: the sample files."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples(data_root: Path) -> Path:
    """Folder of the sample event files."""
    return data_root / "samples"
