"""Runs of the nested sampler on two processes, killed, interrupted and resumed, against closed forms."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from nested_example import HALF, NAMES, SETTINGS, likelihood

from smeft_unbinned import FitResult, Likelihood, minimise, sample
from smeft_unbinned.fit.nested_points import PointFile
from smeft_unbinned.fit.nested_run import POINTS

pytest.importorskip("ultranest", reason="the nested extra is not installed")
EXAMPLE = Path(__file__).with_name("nested_example.py")


def evidence(target: Likelihood) -> float:
    """Return log Z of a Gaussian that lies well inside a flat prior."""
    exact, p = minimise(target, levels=()), len(target.parameters)
    _, determinant = np.linalg.slogdet(exact.covariance)
    return float(-0.5 * exact.m2logl + 0.5 * p * np.log(2 * np.pi) + 0.5 * determinant - p * np.log(2 * HALF))


def compare(logz: float, error: float, mean: dict[str, float], ess: float = 1000.0) -> None:
    exact = minimise(likelihood(), levels=())
    assert logz == pytest.approx(evidence(likelihood()), abs=4 * error)
    assert 0 < error < 0.5
    for name in NAMES:
        assert abs(mean[name] - exact.best[name]) < 5 * exact.errors[name] / np.sqrt(ess)


def records(folder: Path) -> Path:
    """Return the points of the one run in a folder, waiting for it to begin."""
    for _ in range(1200):
        if found := list(folder.glob(f"*/{POINTS}")):
            return found[0]
        time.sleep(0.05)
    raise AssertionError("the run did not begin")


def compare_result(result: FitResult) -> None:
    assert result.samples is not None
    assert result.logz is not None
    assert result.logz_error is not None
    compare(result.logz, result.logz_error, result.samples.mean().to_dict(), result.provenance["ess"] / 2)


def interrupt(folder: Path, number: signal.Signals) -> tuple[int, int, str]:
    """Start a slow run and send it a signal in the middle; return points written, exit code, and output."""
    command = [sys.executable, str(EXAMPLE), str(folder), "0.05"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        file, row = records(folder), 8 * (4 + 2 * len(NAMES))
        for _ in range(2400):
            if file.stat().st_size > 500 * row:  # a hundred live points and 400 more of about 1,400
                break
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(number)
        output, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    return file.stat().st_size // row, child.returncode, output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "Ctrl-C"])
def test_a_run_that_was_ended_in_the_middle_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    kept, code, output = interrupt(tmp_path, number)
    assert code != 0
    assert ("KeyboardInterrupt" in output) == (number is signal.SIGINT)
    assert kept >= 500
    target, evaluated = likelihood(), 0
    value = target.m2logl

    def counted(c: np.ndarray) -> np.ndarray:
        nonlocal evaluated
        evaluated += np.size(c) // len(NAMES)
        return np.asarray(value(c))

    target.m2logl = counted  # type: ignore[method-assign, assignment]
    result = sample(target, log_dir=tmp_path, **SETTINGS)
    assert result.provenance["ncall"] > evaluated  # the points of the first part were not evaluated again
    compare_result(result)
    assert len(list(tmp_path.iterdir())) == 1


def test_ctrl_c_goes_through_and_leaves_what_is_done(tmp_path: Path) -> None:
    target, calls = likelihood(), 0
    value = target.m2logl

    def interrupted(c: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += np.ndim(c) == 2
        if calls == 30:
            raise KeyboardInterrupt
        return np.asarray(value(c))

    target.m2logl = interrupted  # type: ignore[method-assign, assignment]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.raises(KeyboardInterrupt):
        sample(target, log_dir=tmp_path, rotate=False, **SETTINGS)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert records(tmp_path).stat().st_size > 0
    target.m2logl = value  # type: ignore[method-assign]
    compare_result(sample(target, log_dir=tmp_path, rotate=False, **SETTINGS))


def test_what_a_kill_leaves_of_the_last_row_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "points"
    store = PointFile(path, 3)
    store.add([-np.inf, 1.0, 5.0], 1)
    store.add([-np.inf, 2.0, 6.0], 2)
    store.add([1.0, 3.0, 7.0], 8)
    store.close()
    path.write_bytes(path.read_bytes() + b"12345")
    again = PointFile(path, 3)
    assert (again.nrows, again.ncalls, again.stack_empty) == (3, 8, False)
    number, row = again.pop(-np.inf)
    assert number == 0
    np.testing.assert_array_equal(row, [-np.inf, 1.0, 5.0])
    assert again.pop(1.5)[0] == 1  # drawn from everything, and above
    assert again.pop(3.0) == (None, None)
    assert [i for i, _ in again.stack] == [2]
    assert again.add([2.0, 4.0, 8.0], 9) == 3
    again.close()
    assert path.stat().st_size == 4 * 4 * 8


def test_two_processes_give_what_one_gives(two_ranks: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*two_ranks, str(EXAMPLE), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, second = sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda r: r["rank"])
    assert (first.pop("rank"), second.pop("rank")) == (0, 1)
    assert first == second
    compare(first["logz"], first["error"], first["mean"])
    one = sample(likelihood(), **SETTINGS)
    assert first["logz"] == pytest.approx(one.logz, abs=4 * np.hypot(first["error"], one.logz_error))
    assert first["logz"] != one.logz  # it was another run
    folder = next(iter(tmp_path.iterdir()))
    assert len(list(tmp_path.iterdir())) == 1
    assert sorted(p.name for p in folder.iterdir()) == ["coordinates.json", "finished.json", POINTS]


def test_a_mistake_ends_all_processes(two_ranks: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from nested_example import likelihood;"
        "from smeft_unbinned import sample; sample(likelihood(), bounds={'a': (50.0, 60.0)})"
    )
    done = subprocess.run(
        [*two_ranks, "-c", code, str(EXAMPLE.parent)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode != 0
    assert done.stderr.count("InputError: the prior excludes the minimum") == 2


def test_a_step_sampler_gives_the_closed_form_of_twenty_parameters() -> None:
    target = likelihood(20)
    result, exact = sample(target, nlive=64, seed=1), minimise(target, levels=())
    assert result.provenance["steps"] == 40
    assert result.logz == pytest.approx(evidence(target), abs=3 * result.logz_error)
    pulls = np.array(
        [(result.samples[k].mean() - exact.best[k]) / exact.errors[k] for k in target.parameters]
    )
    widths = np.array([result.errors[k] / exact.errors[k] for k in target.parameters])
    assert np.abs(pulls).max() < 5 / np.sqrt(result.provenance["ess"] / 2)
    # noise in the volumes, sqrt(3/64) over the three e-foldings of the posterior, moves all widths by 3.5 %
    assert abs(widths.mean() - 1) < 3 * 0.035
    assert np.abs(widths / widths.mean() - 1).max() < 5 / np.sqrt(result.provenance["ess"])
