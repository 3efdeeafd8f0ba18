"""Full disks, places that cannot be written, two runs at once, jumping clocks, changed data, signals."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands_run import Done, Running, files, run, succeed, temporary
from materials import BY_NAME, COMMANDS, Command
from whole import KEPT, OLD, SEED, check_end, check_left, inputs, made, put_old, whole

from smeft_unbinned import FitResult, InputError, UnbinnedDataset

Tally = Callable[[str, int], None]
FULL = os.environ.get("SMEFT_UNBINNED_RELIABILITY") == "full"
IN_FOLDERS = [c for c in COMMANDS if "." not in c.arguments[-1]]
ONE_FILE = [c for c in COMMANDS if c not in IN_FOLDERS]
SEEDED = [c for c in COMMANDS if "SEED" in c.arguments]
GOES_ON = [c for c in COMMANDS if c.kept]


def some(commands: list[Command], *short: str) -> pytest.MarkDecorator:
    """Run a test with some commands, in the short form with few of them."""
    chosen = [c for c in commands if FULL or c.name in short]
    return pytest.mark.parametrize("command", chosen, ids=[c.name for c in chosen])


def to(command: Command, output: str) -> tuple[str, ...]:
    """Return the arguments with another output."""
    return (*command.seeded(SEED)[:-1], output)


def refused(done: Done) -> str:
    """Require exit code 2 and one line, and return it."""
    assert done.code == 2, done
    assert done.message.startswith("Error: ")
    return done.message


def pause(command: Command, folder: Path, number: int = 3) -> tuple[str, tuple[Any, ...]]:
    """Return the fault that a command waits in the middle of its work."""
    where = "epoch" if command.name == "train" else "evaluation"
    return "paused", (where, number, command.kept, str(folder / ".told"), str(folder / ".until"))


@contextlib.contextmanager
def under_way(folder: Path, command: Command, number: int = 3) -> Iterator[Running]:
    """Give a command that waits in the middle of its work; let it go on at the end."""
    process = Running(folder, *command.seeded(SEED), faults=[pause(command, folder, number)])
    told, until = folder / ".told", folder / ".until"
    try:
        while not told.exists():
            assert not process.ended(), process.wait()
            time.sleep(0.01)
        yield process
    finally:
        told.unlink(missing_ok=True)
        until.touch()
        if not process.ended():
            time.sleep(0.1)  # until it has seen the file


def full_disks(command: Command, rng: random.Random, number: int) -> list[tuple[str, tuple[int, ...]]]:
    """Return faults: at some size of a file, and at some step of writing."""
    steps = 3 * len(whole(command).contents)
    sizes = [("limited", (2 ** rng.randint(6, 12),)) for _ in range(number)]
    return [*sizes, *(("full_at", (rng.randint(1, steps),)) for _ in range(number))]


@some(list(COMMANDS), "generate", "fit", "individual", "scan", "coverage")
def test_a_full_disk_is_told_and_changes_nothing(
    command: Command, tmp_path: Path, full: bool, tally: Tally
) -> None:
    """Old and new files may stand side by side, each whole. With room again the command goes on."""
    rng, folder = random.Random(command.name), inputs(command, tmp_path / "w")
    put_old(folder, command)
    met = 0
    for fault in full_disks(command, rng, 5 if full else 1):
        done = run(folder, *command.seeded(SEED), faults=[fault])
        if done.code != 0:
            assert "cannot write" in refused(done), done
            met += 1
        assert temporary(folder) == []
        check_left(folder, command, old=True)
    assert met or not full
    succeed(folder, *command.seeded(SEED))
    check_end(folder, command)
    tally("full disks", met)


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Give a file system of so many bytes, if we may make one."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only the superuser can make a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@some(list(COMMANDS), "fit", "coverage")
def test_a_small_disk_gets_full(command: Command, tmp_path: Path, full: bool, tally: Tally) -> None:
    """A real one, of so many pages of 4 KiB besides the inputs."""
    with small_disk(tmp_path / "disk", 2**20) as disk:
        for pages in (1, 2, 4, 8) if full else (2,):
            folder = inputs(command, disk / str(pages))
            filler = disk / "filler"
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            filler.write_bytes(bytes(max(free - 4096 * pages, 0)))
            done = run(folder, *command.seeded(SEED))
            filler.unlink()
            if done.code != 0:
                assert "No space left" in refused(done)
            assert temporary(folder) == []
            check_left(folder, command, old=False)
            succeed(folder, *command.seeded(SEED))
            check_end(folder, command)
            for path in files(disk).values():
                path.unlink()
            tally("small disks", 1)


@some(list(COMMANDS), "export", "individual", "coverage")
def test_places_where_nothing_can_be_written(command: Command, tmp_path: Path, tally: Tally) -> None:
    folder = inputs(command, tmp_path / "w")
    (folder / "taken").mkdir()
    (folder / "taken.file").write_bytes(OLD)
    in_folder = command in IN_FOLDERS
    places = ["/proc/o.x", "/proc/self/o/o.x", "taken.file/o.x"]  # no permission is needed to be refused
    places += ["taken.file"] if in_folder else ["missing/o.x", "taken"]
    before = files(folder).keys()
    for place in places:
        message = refused(run(folder, *to(command, place)))
        assert any(x in message for x in ("cannot write", "cannot make", "is a directory", "is a file")), (
            message
        )
        assert (files(folder).keys(), (folder / "taken.file").read_bytes()) == (before, OLD)
        assert temporary(folder) == []
    tally("places where nothing can be written", len(places))


LOST = [
    ("fit", "zh.dataset"), ("individual", "card.yaml"), ("export", "zh.model"), ("export", "zh.events"),
    ("train", "zh.events"), ("nested", "zh.dataset"), ("compress", "zh.dataset"), ("events", "a.lhe"),
    ("report", "results/fit_result.json"), ("compare", "compared/fits"),
]  # fmt: skip
"""What a command needs, or has kept to go on, and is lost."""


def results(folder: Path, command: Command) -> dict[str, Any]:
    """Return the contents of what is not kept to go on."""
    return {k: v for k, v in made(folder, command).items() if not any(mark in k for mark in KEPT)}


def of_seed(command: Command, seed: int) -> dict[str, Any]:
    return {k: v for k, v in whole(command, seed).contents.items() if not any(mark in k for mark in KEPT)}


@some(SEEDED, "generate", "fit", "individual")
def test_two_runs_with_one_output(command: Command, tmp_path: Path, full: bool, tally: Tally) -> None:
    """The result is that of one of them, all files of the same one; the other may be refused."""
    for number, seed in enumerate((SEED, SEED + 1, SEED + 1, SEED) if full else (SEED + 1,)):
        folder = inputs(command, tmp_path / str(number))
        pair = [Running(folder, *command.seeded(s)) for s in (SEED, seed)]
        ends = [process.wait() for process in pair]
        assert 0 in [done.code for done in ends], ends
        for done in ends:
            assert done.code == 0 or "another run" in refused(done)
        assert results(folder, command) in (of_seed(command, SEED), of_seed(command, seed))
        assert temporary(folder) == []
        tally("two runs with one output", 1)


@some(GOES_ON, "individual", "nested", "scan", "coverage")
def test_two_runs_in_one_folder(command: Command, tmp_path: Path, tally: Tally) -> None:
    """The second is refused while the first is at work; when that is dead, no lock stands in the way."""
    folder = inputs(command, tmp_path / "w")
    with under_way(folder, command) as first:
        assert "another run" in refused(run(folder, *command.seeded(SEED)))
        first.signal(signal.SIGKILL)
        assert first.wait().code == -signal.SIGKILL
    (folder / ".until").unlink()
    succeed(folder, *command.seeded(SEED))
    check_end(folder, command)
    tally("two runs in one folder", 1)


@some([*GOES_ON, BY_NAME["compress"], BY_NAME["report"]], "individual", "coverage")
def test_the_clock_may_jump(command: Command, tmp_path: Path, tally: Tally) -> None:
    folder, fault = inputs(command, tmp_path / "w"), ("jumping", (1e5,))
    killed = ("killed_at", (5 * len(whole(command).contents) // 2, True))
    assert run(folder, *command.seeded(SEED), faults=[fault, killed]).code in (0, -signal.SIGKILL)
    succeed(folder, *command.seeded(SEED), faults=[fault])
    check_end(folder, command)
    tally("jumping clocks", 2)


def replaced(path: Path) -> None:
    """Put another dataset in its place, by renaming."""
    other = path.with_name("other.dataset")
    succeed(path.parent, "export", "zh.events", "--truth", "--luminosity", 3, "-o", other)
    os.replace(other, path)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def overwritten(path: Path) -> None:
    """Change a few numbers."""
    with path.open("r+b") as stream:
        stream.seek(-400, os.SEEK_END)
        stream.write(bytes(80))


def touched(path: Path) -> None:
    os.utime(path, (0, 0))


def removed(path: Path) -> None:
    path.unlink()


HARMLESS = (replaced, touched, removed)
METHODS = ("fit", "individual", "nested", "scan", "coverage")


@pytest.mark.parametrize("change", [*HARMLESS, truncated, emptied, overwritten])
def test_a_dataset_changes_during_a_fit(
    change: Callable[[Path], None], tmp_path: Path, full: bool, tally: Tally
) -> None:
    """The result is that of the data that were read, or there is none, and an error says why."""
    for name in METHODS if full else METHODS[:1]:
        command = BY_NAME[name]
        folder = inputs(command, tmp_path / name)
        if change is replaced:
            inputs(BY_NAME["export"], tmp_path / f"{name}_events")
            os.replace(tmp_path / f"{name}_events" / "zh.events", folder / "zh.events")
        with under_way(folder, command) as process:
            change(folder / "zh.dataset")
        done = process.wait()
        if done.code == 0:  # a fit in other coordinates has copied what it needs
            assert results(folder, command).items() >= of_seed(command, SEED).items()
        else:
            assert change not in HARMLESS
            assert "zh.dataset was changed while it was in use" in refused(done)
            assert not results(folder, command)
        tally("datasets changed during a fit", 1)


@pytest.mark.parametrize("change", [*HARMLESS, truncated, emptied, overwritten])
def test_a_mapped_file_changes(change: Callable[[Path], None], tmp_path: Path) -> None:
    """Values are those of the file that was read, or an error comes in place of them."""
    folder = inputs(BY_NAME["fit"], tmp_path / "w")
    inputs(BY_NAME["export"], tmp_path / "events")
    os.replace(tmp_path / "events" / "zh.events", folder / "zh.events")
    path, point = folder / "zh.dataset", {"cHW": 0.1}
    dataset = UnbinnedDataset.load(path)
    before = float(dataset.m2logl(point))
    change(path)
    for _ in range(2):
        if change in HARMLESS:
            assert float(dataset.m2logl(point)) == before
            continue
        with pytest.raises(InputError, match=r"zh\.dataset was changed while it was in use"):
            dataset.m2logl(point)


@pytest.mark.parametrize(("name", "lost"), LOST if FULL else LOST[:3])
def test_a_file_is_lost_between_steps(name: str, lost: str, tmp_path: Path, tally: Tally) -> None:
    """What is needed is named; what can be made again is made again."""
    command = BY_NAME[name]
    folder = inputs(command, tmp_path / "w")
    fault = ("killed_at", (5 * len(whole(command).contents) // 2, True))
    run(folder, *command.seeded(SEED), faults=[fault])
    place, aside = folder / lost, tmp_path / "aside"
    place.rename(aside)
    done = run(folder, *command.seeded(SEED))
    if name != "compare":
        assert any(word in refused(done) for word in ("no such", "does not exist", "nothing to report"))
        aside.rename(place)
        done = run(folder, *command.seeded(SEED))
    assert done.code == 0, done
    check_end(folder, command)
    tally("files lost between steps", 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@some([*GOES_ON, BY_NAME["fit"]], "fit", "individual", "scan", "coverage")
def test_a_signal_ends_a_command_with_what_to_do(
    command: Command, number: signal.Signals, tmp_path: Path, tally: Tally
) -> None:
    folder = inputs(command, tmp_path / "w")
    with under_way(folder, command, 4) as process:
        process.signal(number)
        done = process.wait()
    (folder / ".until").unlink()
    assert done.code == 128 + number, done
    word = "terminated" if number is signal.SIGTERM else "interrupted"
    kept = (
        "nothing is kept, the same command begins anew"
        if command.name == "fit"
        else "the same command goes on"
    )
    assert done.message.startswith(f"{word}; ")
    assert done.message.endswith(kept)
    assert temporary(folder) == []
    check_left(folder, command, old=False)
    succeed(folder, *command.seeded(SEED))
    check_end(folder, command)
    tally("signals", 1)


def test_standard_output_may_be_full_or_closed(tmp_path: Path, tally: Tally) -> None:
    """The result is there all the same."""
    command = BY_NAME["fit"]
    for number, end in enumerate(("/dev/full", None)):
        folder = inputs(command, tmp_path / str(number))
        text = f"{'exec' if end else ''} smeft-unbinned {' '.join(command.seeded(SEED))} " + (
            f"> {end}" if end else "| true"
        )
        done = subprocess.run(
            ["bash", "-c", text], cwd=folder, capture_output=True, text=True, env=_environment(), timeout=60
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert FitResult.load(folder / "fit" / "fit_result.json").valid
        tally("full or closed outputs", 1)


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
