"""Makes `fitter_runs` importable for the tests of each fitter."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
