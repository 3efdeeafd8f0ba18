"""What packages of others add: examples/extending as a reader installs it, and those that cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from doc_blocks import blocks

from smeft_unbinned import InputError
from smeft_unbinned.catalogue import AXES, LOSSES, PROCESSES
from smeft_unbinned.cli import main
from smeft_unbinned.comparison import ComparisonCard
from smeft_unbinned.comparison.sample import events_of
from smeft_unbinned.fitters import fitters
from smeft_unbinned.processes import find, toy

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "extending"
FITTER_CHECKS = """
from toy_extension.toy_fitter import Cost
from smeft_unbinned.testing import CHECKS, Adapter

def make(dataset, names):
    dataset.save("toy.dataset")
    cost = Cost("toy.dataset", names, basis="wcxf", units="GeV^-2")
    return Adapter(cost, units="GeV^-2", gradient=cost.grad)

for check in CHECKS:
    check(make, operators=("phiW", "phiB", "phiWB"), basis="wcxf")
print(len(CHECKS), "checks")
"""
HEAD = """
from dataclasses import dataclass
from smeft_unbinned.estimators.heads import Quadratic
from smeft_unbinned.estimators.losses.alice import Alice

@dataclass(frozen=True)
class Mine(Quadratic):
    name = "mine"
    like = "quadratic"

@dataclass(frozen=True)
class MyLoss(Alice):
    name = "my-loss"
"""


# the example


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install the example into a folder; return the environment of a process that sees it."""
    pytest.importorskip("hatchling")
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q")
    run(*pip, "--no-deps", "--no-build-isolation", "--no-index", "-t", str(target), str(EXAMPLE))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(target)}


def run(*command: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_part_is_short() -> None:
    for name in ("toy_process", "toy_loss", "toy_fitter"):
        text = (EXAMPLE / "toy_extension" / f"{name}.py").read_text(encoding="utf-8")
        assert len(text.splitlines()) < 100, name


@pytest.mark.slow
def test_the_commands_of_its_readme_run(installed: dict[str, str], tmp_path: Path) -> None:
    """Generate, train and export, the fitter in the list, and a fit with it."""
    pytest.importorskip("torch", reason="the train extra is not installed")
    shell, python = blocks(EXAMPLE / "README.md", "bash"), blocks(EXAMPLE / "README.md", "python")
    told = run("bash", "-euo", "pipefail", "-c", shell[0].text, env=installed, cwd=tmp_path)
    assert "2000 events in c_p, c_d" in told
    assert "mlc" in told
    assert 'minuit("waves.dataset")' in told
    fit = run(sys.executable, "-c", python[0].text, env=installed, cwd=tmp_path)
    assert "c_p" in fit
    assert "Valid Minimum" in fit


def test_the_contracts_hold(installed: dict[str, str]) -> None:
    """The contract tests run over the registries, and so over what is installed."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:xdist"]
    files = ["tests/processes/test_process_contract.py", "tests/estimators/test_losses.py"]
    told = run(*command, *files, "-k", "partial-waves or mlc", env=installed, cwd=ROOT)
    assert told.count("[partial-waves") >= 7
    assert told.count("[mlc") >= 5
    assert told.count("PASSED") == told.count("::test_")


def test_the_checks_of_adapters_hold(installed: dict[str, str], tmp_path: Path) -> None:
    assert "checks" in run(sys.executable, "-c", FITTER_CHECKS, env=installed, cwd=tmp_path)


# what a package announces


@pytest.fixture
def announce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what puts a package with one entry point, and a module, on the path."""

    def package(group: str, name: str, value: str, code: str = "", called: str = "others") -> None:
        folder = tmp_path / called
        info = folder / f"{called}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {called}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[smeft_unbinned.{group}]\n{name} = {value}\n")
        module = value.split(":")[0]
        if code:
            (folder / f"{module}.py").write_text(code, encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(str(folder))

    return package


def test_names_are_listed_without_importing_what_they_stand_for(announce: Callable[..., None]) -> None:
    announce("processes", "mine", "no_such_module")
    assert list(PROCESSES)[:4] == ["ZH", "WH", "ttbar", "toy"]
    assert len(PROCESSES) == len(list(PROCESSES)) >= 5
    assert "mine" in PROCESSES
    code = (
        "import sys; from smeft_unbinned.cli import main\n"
        "try: main(['generate', '--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert not {'torch', 'smeft_unbinned.processes'} & set(sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:1])}
    assert "mine" in run(sys.executable, "-c", code, env=env)


def test_a_process_in_collisions_takes_their_options(announce: Callable[..., None], tmp_path: Path) -> None:
    announce(
        "processes", "mine", "my_collisions", "from smeft_unbinned.processes.ttbar import *\nHADRONIC = True"
    )
    content = {"luminosity": 1.0, "process": {"name": "mine", "n": 20, "energy": 13600.0, "weighted": True}}
    events = events_of(ComparisonCard.from_dict(content), tmp_path)
    assert events.metadata["energy"] == 13600.0
    assert events.metadata["weighted"]


def test_names_complete_with_the_tab_key(announce: Callable[..., None]) -> None:
    announce("losses", "alien", "no_such_module")
    shell = ShellComplete(main, {}, "smeft-unbinned", "_X")
    found = [item.value for item in shell.get_completions(["train", "--loss"], "ali")]
    assert found == ["alice", "alices", "alien"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import no_such_thing", "cannot be loaded: No module named 'no_such_thing'"),
        ("1 / 0", "cannot be loaded: division by zero"),
        ("OPERATORS = DEFAULT = ()", "lacks columns, truth, generate, cross_section"),
    ],
)
def test_a_broken_process_is_named(announce: Callable[..., None], code: str, told: str) -> None:
    announce("processes", "mine", "my_process", code)
    with pytest.raises(InputError, match=rf"process 'mine' \(my_process of others 1.0\) {told}.*; repair or"):
        find("MINE")
    assert find("toy") is toy  # the others work all the same


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("Mine = 3", "must be a frozen dataclass derived from .*losses.base.Loss"),
        ("class Mine: name = 'mine'", "must be a frozen dataclass derived from .*losses.base.Loss"),
        (f"{HEAD}\nMine.name = 'mine'", "must be a frozen dataclass derived from .*losses.base.Loss"),
        (f"{HEAD}\nMine = MyLoss", "calls itself 'my-loss'; its attribute `name` must be 'mine'"),
        (
            "from dataclasses import dataclass\nfrom smeft_unbinned.estimators.losses import Loss\n"
            "@dataclass(frozen=True)\nclass Mine(Loss): name = 'mine'",
            "lacks the method bind of",
        ),
    ],
)
def test_a_broken_loss_is_named(announce: Callable[..., None], code: str, told: str) -> None:
    pytest.importorskip("torch", reason="the train extra is not installed")
    announce("losses", "mine", "my_loss:Mine", code)
    with pytest.raises(InputError, match=rf"the loss 'mine' \(my_loss:Mine of others 1.0\) {told}"):
        LOSSES["mine"]


@pytest.mark.parametrize(
    ("group", "name", "ask"),
    [
        ("processes", "zh", lambda: find("ZH")),
        ("losses", "carl", lambda: LOSSES["carl"]),
        ("fitters", "cobaya", fitters),
    ],
)
def test_no_package_hides_a_name(
    announce: Callable[..., None], group: str, name: str, ask: Callable[[], object]
) -> None:
    announce(group, name, "my_module:entry")
    with pytest.raises(InputError, match=r"several packages have .*my_module:entry of others 1.0.*; rename"):
        ask()


def test_two_packages_with_one_name(announce: Callable[..., None]) -> None:
    announce("processes", "mine", "first")
    announce("processes", "mine", "second", called="more")
    with pytest.raises(
        InputError, match=r"'mine': \S+ of \w+ 1.0; \S+ of \w+ 1.0; rename or remove all but one"
    ):
        find("mine")


def test_what_was_trained_with_another_package(
    announce: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head is needed to predict, the loss to train on: whoever has not installed them is told."""
    pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned import Estimator, TrainSettings, train

    announce("heads", "mine", "my_parts:Mine", HEAD)
    announce("losses", "my-loss", "my_parts:MyLoss", called="more")
    events = toy.generate(200, seed=1)
    quick = {"replicas": 2, "epochs": 1, "hidden": (4,)}
    with_head = train(events, head="mine", **quick)
    with_head.save(tmp_path / "head.model")
    train(events, loss="my-loss", **quick).save(tmp_path / "loss.model")
    again = Estimator.load(tmp_path / "head.model")
    assert type(again.head).__name__ == "Mine"
    with pytest.raises(InputError, match="loss 'sally' cannot train head 'mine'"):
        TrainSettings.of(loss="sally", head="mine")
    monkeypatch.undo()
    with pytest.raises(InputError, match="unknown head 'mine', which is of 'my_parts': install that package"):
        Estimator.load(tmp_path / "head.model")
    settings = Estimator.load(tmp_path / "loss.model").metadata["settings"]
    with pytest.raises(InputError, match="unknown loss 'my-loss', which is of 'my_parts': install that"):
        TrainSettings(**settings)


def test_the_command_line_tells_of_a_broken_package(announce: Callable[..., None], tmp_path: Path) -> None:
    announce("losses", "mine", "no_such_module:Mine")
    toy.generate(50, seed=1).save(tmp_path / "toy.events")
    arguments = ["train", str(tmp_path / "toy.events"), "--loss", "mine", "-o", str(tmp_path / "toy.model")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "the loss 'mine' (no_such_module:Mine of others 1.0) cannot be loaded" in done.output


def test_every_name_of_the_catalogue_can_be_loaded() -> None:
    pytest.importorskip("torch", reason="the train extra is not installed")
    for registry in (*AXES.values(), PROCESSES):
        assert not [name for name in registry if registry.fault(registry[name], name)]
    with pytest.raises(KeyError):
        LOSSES["nothing"]
