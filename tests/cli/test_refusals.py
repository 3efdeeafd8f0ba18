"""The command line refuses bad values and targets before any work, and tells what it wrote as it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from commands import refuse, run

from smeft_unbinned import InputError
from smeft_unbinned.cli import compare, fit, options
from theory_tables import make

TRAIN = ("--replicas", 1, "--epochs", 2, "--hidden", 8)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("refusals") / "z.events"
    assert run("generate", "toy", "-n", 500, "--seed", 2, "-o", path).exit_code == 0
    return path


@pytest.fixture
def card(tmp_path: Path) -> Path:
    content = {
        "basis": "warsaw",
        "datasets": [{"name": "ZH_13TeV_STXS"}],
        "coefficients": {"cHW": {"min": -1.0, "max": 1.0}},
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "card.yaml"


@pytest.fixture
def comparison(tmp_path: Path, events: Path) -> Path:
    content = {"events": str(events), "luminosity": 1.0, "contours": "none"}
    (tmp_path / "comparison.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "comparison.yaml"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate", "ZH", "--seed", "-1", "-o", "x"), "0<=x<=4294967295"),
        (("generate", "ZH", "--seed", "4294967296", "-o", "x"), "0<=x<=4294967295"),
        (("generate", "ZH", "--energy", "nan", "-o", "x"), "--energy must be a finite number above zero"),
        (("generate", "ZH", "--energy", "inf", "-o", "x"), "--energy must be a finite number above zero"),
        (("generate", "ZH", "--pt-min", "inf", "-o", "x"), "--pt-min must be a finite number"),
        (("generate", "ZH", "--operators", "", "-o", "x"), "--operators names nothing"),
        (
            ("export", "e", "--luminosity", "nan", "-o", "x"),
            "--luminosity must be a finite number above zero",
        ),
        (
            ("export", "e", "--luminosity", "inf", "-o", "x"),
            "--luminosity must be a finite number above zero",
        ),
        (("compare", "e"), "no such comparison card"),
        (
            ("export", "e", "--efficiency", "inf", "-o", "x"),
            "--efficiency must be a finite number above zero",
        ),
        (("export", "e", "--truth", "--data", "observed", "--at", "a=1", "-o", "x"), "--at is where"),
        (("fit", "card.yaml", "--nlive", "0"), "x>=1"),
        (("fit", "card.yaml", "--seed", "-1"), "0<=x<=4294967295"),
        (("train", "e", "--checkpoint", "no/such/file", "-o", "x"), "no does not exist"),
        (("train", "e", "--checkpoint", "x", "-o", "x"), "in use; choose another name"),
        (("train", "e", "-o", "e"), "in use; choose another name"),
        (("train", "e", "--calibrate", "e.png", "-o", "e"), "in use; choose another name"),
        (("export", "e", "--truth", "-o", "./e"), "in use; choose another name"),
        (("events", "a.csv", "b.csv", "-o", "b.csv"), "in use; choose another name"),
        (("events", "a.csv", "--cross-section", "nan", "-o", "x"), "--cross-section must be a finite number"),
    ],
)
def test_bad_values(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words.replace("no does", "no/such does") in refuse(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_an_input_is_not_replaced(events: Path) -> None:
    before = events.read_bytes()
    assert "z.events would be overwritten" in refuse("train", events, *TRAIN, "-o", events)
    assert events.read_bytes() == before


def test_a_folder_below_a_file_is_refused_before_the_work(
    comparison: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(compare, "run", never)
    monkeypatch.setattr(fit, "fit", never)
    for arguments in (("fit", card), ("compare", comparison), ("demo",)):
        assert "is not a folder; choose another" in refuse(*arguments, "-o", card / "x")
    card.write_text(card.read_text() + f"result_path: {card}/x\n")
    assert "is not a folder; choose another" in refuse("fit", card)


def test_a_fit_that_fails_leaves_no_folder(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InputError("no minimum")

    monkeypatch.setattr(fit, "fit", fail)
    assert "no minimum" in refuse("fit", card)
    assert list(card.parent.iterdir()) == [card]


def test_tables_below_a_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stop:
        make.main([str(tmp_path / "file" / "x")])
    assert stop.value.code == 2
    assert "file is not a folder; choose another" in capsys.readouterr().err


def test_without_matplotlib_the_work_still_counts(
    events: Path, comparison: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for arguments, made in (
        (("train", events, *TRAIN, "-o", tmp_path / "model"), "model"),
        (("compare", comparison, "-o", tmp_path / "out"), "out/intervals.csv"),
    ):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert "pip install 'smeft-unbinned[plot]'" in " ".join(result.output.split())
        assert (tmp_path / made).stat().st_size > 0


def test_brackets_are_printed_as_they_are() -> None:
    with options.console.capture() as capture:
        options.say(Path("[red]a[/red]/b[/bold]"), "pt[h]")
        options.note("[bold]x")
        options.print_frame(pd.DataFrame({"m[j]": [1.0]}, index=["pt[h]"]), "in [h]")
    text = capture.get()
    for words in ("wrote [red]a[/red]/b[/bold]: pt[h]", "note: [bold]x", "m[j]", "pt[h]", "in [h]"):
        assert words in text
