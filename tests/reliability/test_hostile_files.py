"""Damaged files of every format: each ends in InputError or in sound numbers, in little time and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile import Worker
from hostile_formats import FORMATS
from hostile_numbers import LOOSE, STRICT, spoiled
from hostile_sizes import SIZES

CASES = {False: 2_600, True: 101_000}
"""Damaged files over all formats, in the short form and in full."""
TOTAL = sum(what.share for what in FORMATS.values())


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The process that reads."""
    for package in ("torch", "lightgbm", "onnxruntime", "h5py", "uproot", "pyarrow", "pylhe"):
        pytest.importorskip(package)
    started = Worker(tmp_path_factory.mktemp("hostile"))
    yield started
    started.close()


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_refused_or_read(
    worker: Worker, name: str, full: bool, tally: Callable[[str, int], None]
) -> None:
    cases = round(CASES[full] * FORMATS[name].share / TOTAL) + 1
    sound, failures = worker.run(name, 0, cases)
    tally("damaged files", cases)
    tally("damaged files that were read all the same", sound)
    assert not failures, "\n".join(failures[:20])
    assert cases < 100 or 0 < sound < cases  # the damage is neither fatal nor without effect


@pytest.mark.parametrize("name", SIZES)
def test_a_file_made_to_fill_the_memory_is_refused(
    worker: Worker, tmp_path: Path, name: str, tally: Callable[[str, int], None]
) -> None:
    bomb = SIZES[name]
    path = bomb.write(tmp_path)
    tally("files made to fill memory or time", 1)
    outcome = worker.read(bomb.format, path)
    assert outcome.startswith("InputError") or (bomb.harmless and not outcome), outcome
    assert bomb.says in outcome, outcome


@pytest.mark.parametrize("name", [*STRICT, *LOOSE])
def test_numbers_that_are_not_finite_are_refused(
    worker: Worker, name: str, full: bool, tally: Callable[[str, int], None]
) -> None:
    bad, cases = [], list(spoiled(name, worker.seed(name)))
    cases = cases if full else cases[:: len(cases) // 100 + 1]
    for where, data in cases:
        outcome = worker.attempt(name, data)
        if not outcome.startswith("InputError") and (outcome or name in STRICT):
            bad.append(f"{where}: {outcome or 'was read'}")
    tally("NaN and infinity in place of a number", len(cases))
    assert cases
    assert not bad, "\n".join(bad[:20])
