"""The same seeds give the same files, from events to the report; threads change nothing beyond rounding."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smeft_unbinned import UnbinnedDataset

pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("ultranest", reason="the nested extra is not installed")
pytest.importorskip("matplotlib", reason="the plot extra is not installed")
PIPELINE = Path(__file__).with_name("pipeline.py")
TIMES = re.compile(rb'("seconds": ?)(\{[^}]*\}|[0-9.eE+-]+)')
"""How long a step took, the only thing that may differ, in JSON."""
Tally = Callable[[str, int], None]


def content(path: Path) -> Any:
    """Return what a file holds apart from times: bytes, or the manifest and the arrays of a dataset."""
    raw = path.read_bytes()
    if path.suffix in (".model", ".dataset", ".events"):
        (size,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + size])
        manifest = TIMES.sub(rb"\1", header["__metadata__"].pop("manifest").encode())
        header["__metadata__"].pop("sha256")  # of the manifest
        return manifest, json.dumps(header, sort_keys=True), raw[8 + size :]
    return TIMES.sub(rb"\1", raw)


def made(folder: Path, hash_seed: str) -> dict[str, Any]:
    """Return the files that the pipeline makes in a folder, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": hash_seed, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, str(PIPELINE), str(folder)], capture_output=True, text=True, timeout=600,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): content(p) for p in files}


@pytest.mark.slow
def test_the_same_seeds_give_the_same_files(tally: Tally, tmp_path: Path) -> None:
    first, second = (made(tmp_path / "work", seed) for seed in ("0", "1"))
    assert list(first) == list(second)
    different = [name for name in first if first[name] != second[name]]
    assert not different
    assert len(first) > 30
    tally("files that two runs made alike", len(first))


THREADS = """\
import sys, numpy as np
from smeft_unbinned import UnbinnedDataset
from smeft_unbinned.engine import blocks
blocks.WORTHWHILE = 0.0
d = UnbinnedDataset.load(sys.argv[1])
points = np.random.default_rng(0).normal(scale=0.2, size=(20, 2))
np.save(sys.argv[2], np.concatenate([d.m2logl(points)[:, None], d.gradient(points)], axis=1))
"""


def test_two_threads_give_what_one_gives(tally: Tally, tmp_path: Path) -> None:
    from smeft_unbinned.testing import toy_dataset

    toy_dataset(("cHW", "cHq3"), "warsaw", events=50_000).save(tmp_path / "d.dataset")
    values = []
    for threads in ("1", "2"):
        target = tmp_path / f"{threads}.npy"
        command = [sys.executable, "-c", THREADS, str(tmp_path / "d.dataset"), str(target)]
        subprocess.run(command, check=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": threads})
        values.append(np.load(target))
    scale = float(UnbinnedDataset.load(tmp_path / "d.dataset").expected.constant)
    np.testing.assert_allclose(values[0], values[1], rtol=1e-12, atol=1e-12 * scale)
    tally("points with one and two threads", len(values[0]))
