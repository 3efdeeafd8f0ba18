"""A MadGraph + SMEFTsim sample through the whole path (skipped where the sample is not at hand)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "real_sample.py"


@pytest.mark.slow
def test_real_sample(data_root: Path) -> None:
    """The benchmark checks positivity, the mean of r against sigma(c)/sigma(0), and the fit."""
    sample = data_root / "samples" / "smeftsim_VBFH-1.lhe.gz"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(sample)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
