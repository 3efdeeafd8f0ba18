"""smeft-unbinned smefit: what it writes, starts and refuses, with a stand-in for SMEFiT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import refuse, run

from plugins.smefit.example.make import make
from plugins.smefit.runcard import MODULE
from smeft_unbinned import InputError
from smeft_unbinned.cli import smefit

STAND_IN = """\
import json, os, sys

def base_command():
    with open(os.environ["SEEN"], "a") as stream:
        stream.write(json.dumps([sys.argv[1:], os.environ["OMP_NUM_THREADS"]]) + "\\n")
    print("from the fitter")
    sys.exit(int(os.environ.get("ENDS_WITH", "0")))
"""
MPIEXEC = '#!/bin/sh\nshift; echo $1 >> "$SEEN.mpi"; shift; exec "$@"\n'


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return make(tmp_path / "fit", n_expected=50)["card.yaml"]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package smefit 4.0.0, and mpi4py and mpiexec; return the file of the calls."""
    place = tmp_path / "site"
    for name, text in {
        "smefit/__init__.py": "",
        "smefit/cli.py": STAND_IN,
        "smefit-4.0.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: smefit\nVersion: 4.0.0\n",
        "mpi4py/__init__.py": "",
        "bin/mpiexec": MPIEXEC,
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    (place / "bin/mpiexec").chmod(0o755)
    (place / "bin/python").symlink_to(sys.executable)
    monkeypatch.syspath_prepend(place)
    path = os.pathsep.join([str(place), *(p for p in sys.path if p)])
    for key, value in {"PYTHONPATH": path, "SEEN": str(tmp_path / "seen"), "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(key, value)
    return tmp_path / "seen"


def calls(seen: Path) -> list[list[str]]:
    return [json.loads(line)[0] for line in seen.read_text(encoding="utf-8").splitlines()]


def edit(card: Path, **changes: Any) -> None:
    content = {**yaml.safe_load(card.read_text(encoding="utf-8")), **changes}
    card.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}), encoding="utf-8")


def test_it_converts_the_card_and_runs_nested_sampling(card: Path, stand_in: Path) -> None:
    done = run("smefit", card)
    assert done.exit_code == 0, done.output
    written = card.parent / "results/zh_example.smefit.yaml"
    assert calls(stand_in) == [["NS", str(written)]]
    content = yaml.safe_load(written.read_text(encoding="utf-8"))
    file = str(card.parent / "zh_14tev.safetensors")
    assert content["external_chi2"] == {"zh_14tev": {"path": MODULE, "file": file}}
    assert content["datasets"] == [{"name": "ZH_13TeV_STXS"}]
    assert [p.name for p in written.parent.iterdir()] == [written.name]


def test_options_of_smefit_and_its_exit_code_are_handed_on(
    card: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDS_WITH", "7")
    written = str(card.parent / "results/zh_example.smefit.yaml")
    assert run("smefit", card, "SCAN", "--", "--scan_points", "5").exit_code == 7
    assert run("smefit", card, "--", "--log_file", "x").exit_code == 7
    assert calls(stand_in) == [["SCAN", written, "--scan_points", "5"], ["NS", written, "--log_file", "x"]]


def test_an_end_by_a_signal_has_the_exit_code_of_shells(
    card: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smefit, "SMEFIT", "import os; os.kill(os.getpid(), 9)")
    assert run("smefit", card).exit_code == 137


def test_several_processes(card: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(stand_in.parent / "site/bin/python"))
    assert run("smefit", card, "--processes", 3).exit_code == 0
    assert Path(f"{stand_in}.mpi").read_text(encoding="utf-8") == "3\n"
    assert "one process" in refuse("smefit", card, "SCAN", "--processes", 2)
    dry = run("smefit", card, "--processes", 2, "--dry-run").output
    assert "mpiexec -n 2 smefit NS" in " ".join(dry.split())
    monkeypatch.setattr(smefit.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "pip install mpich mpi4py" in refuse("smefit", card, "--processes", 2)


def test_cores_are_shared_between_processes(
    card: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(smefit.blocks, "available", lambda: 8)
    monkeypatch.setattr(sys, "executable", str(stand_in.parent / "site/bin/python"))
    run("smefit", card, "--processes", 3)
    assert json.loads(stand_in.read_text(encoding="utf-8"))[1] == "2"


def test_a_dry_run_writes_and_needs_no_smefit(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smefit.subprocess, "run", lambda *a, **k: pytest.fail("started"))
    done = run("smefit", card, "--dry-run")
    assert done.exit_code == 0, done.output
    written = card.parent / "results/zh_example.smefit.yaml"
    assert written.exists()
    assert f"run it with: smefit NS {written}" in " ".join(done.output.split())


def test_with_json_the_output_of_smefit_goes_elsewhere(card: Path, stand_in: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from smeft_unbinned.cli import main; main()",
        "smefit",
        str(card),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["files"][0]["path"].endswith("zh_example.smefit.yaml")
    assert "from the fitter" in done.stderr


def test_without_smefit_there_is_a_hint_and_nothing_is_written(
    card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.smefit import FITTER

    def absent() -> None:
        raise InputError("smefit is not installed; install it with " + FITTER.install)

    monkeypatch.setattr(type(FITTER), "require", lambda self: absent())
    assert "pip install 'smeft-unbinned[smefit]'" in refuse("smefit", card)
    assert not (card.parent / "results").exists()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("A", "smefit A leaves out zh_14tev: its solution is that of the binned data alone"),
        ("MC", "it fails in SMEFiT 4.0"),
        ("PREFIT", "smeft-unbinned chi2"),
        ("PCA", "smeft-unbinned fisher"),
        ("R", "run NS first"),
        (
            "NSS",
            "unknown mode 'NSS' of smefit; known are NS, SCAN, A, MC, PREFIT, PCA, R. Did you mean 'NS'?",
        ),
    ],
)
def test_modes_that_leave_unbinned_data_out_are_refused(
    mode: str, words: str, card: Path, stand_in: Path
) -> None:
    assert words in refuse("smefit", card, mode)
    assert not stand_in.exists()
    assert not (card.parent / "results").exists()


def test_binned_data_alone_go_to_every_mode(card: Path, stand_in: Path) -> None:
    edit(card, datasets=["ZH_13TeV_STXS"])
    assert run("smefit", card, "A").exit_code == 0
    assert calls(stand_in)[0][0] == "A"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("NS", "--", "--float32"), "--float32 is not enough for -2 log L of zh_14tev"),
        (("NS", "--", "--rotate_to_pca"), "does not hand over the rotation"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: tuple[str, ...], words: str, card: Path, stand_in: Path
) -> None:
    assert words in refuse("smefit", card, *arguments)


def test_a_scan_of_unbinned_data_alone_is_refused(card: Path, stand_in: Path) -> None:
    edit(card, datasets=[{"name": "zh_14tev", "unbinned": "zh_14tev.safetensors"}])
    assert "needs a binned dataset beside zh_14tev" in refuse("smefit", card, "SCAN")


def test_reports(tmp_path: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, terms in (("with", {"zh": {"path": MODULE}}), ("without", None)):
        (tmp_path / "results" / name).mkdir(parents=True)
        text = yaml.safe_dump({"external_chi2": terms, "coefficients": {}})
        (tmp_path / "results" / name / f"{name}.yaml").write_text(text, encoding="utf-8")
    report = tmp_path / "report.yaml"
    base = {
        "name": "r",
        "result_path": "results",
        "result_IDs": ["with", "without"],
        "coefficients_plots": {},
    }
    report.write_text(yaml.safe_dump({**base, "fisher": {}, "PCA": {}}), encoding="utf-8")
    message = refuse("smefit", report, "R")
    assert "computes PCA, fisher from binned data alone, but there are external chi2 in with;" in message
    report.write_text(yaml.safe_dump(base), encoding="utf-8")
    assert run("smefit", report, "R").exit_code == 0
    assert calls(stand_in) == [["R", str(report)]]


def test_a_card_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such runcard" in refuse("smefit", tmp_path / "none.yaml")
