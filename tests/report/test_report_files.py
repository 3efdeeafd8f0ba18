"""The files beside the page: an earlier report's leftovers go, and nothing else does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pages import read

from smeft_unbinned.report import build, report, written

Fits = dict[str, Path]


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FORMATS", ())


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_files_that_are_no_longer_made_are_removed(fits: Fits, tmp_path: Path) -> None:
    page, beside = tmp_path / "page.html", tmp_path / "page_files"
    report([fits["two"], fits["three"]], page)
    assert "correlations_three.csv" in names(beside)
    report([fits["two"]], page)
    left = names(beside)
    assert "correlations_two.csv" in left
    assert not [name for name in left if "three" in name]
    fresh = report([fits["two"]], tmp_path / "fresh.html").with_name("fresh_files")
    assert left == names(fresh)
    hrefs = {str(a["href"]) for tag, a in read(page).tags if tag == "a" and "page_files/" in str(a["href"])}
    assert {h.removeprefix("page_files/") for h in hrefs} == left - {written.MANIFEST}


def test_files_of_others_stay(fits: Fits, tmp_path: Path) -> None:
    page, beside = tmp_path / "page.html", tmp_path / "page_files"
    beside.mkdir()
    (beside / "notes.csv").write_text("mine")
    report([fits["two"], fits["three"]], page)
    (beside / "later.png").write_text("mine")
    (beside / "correlations_three.csv").write_text("edited")
    (beside / "pairs_three.csv").unlink()
    (beside / "pairs_three.csv").symlink_to(beside / "notes.csv")
    report([fits["two"]], page)
    assert (beside / "notes.csv").read_text() == "mine"
    assert (beside / "later.png").read_text() == "mine"
    assert (beside / "correlations_three.csv").read_text() == "edited"
    assert (beside / "pairs_three.csv").is_symlink()
    assert "intervals.csv" in names(beside)


@pytest.mark.parametrize("name", ["../victim.txt", "/victim.txt", "", ".", "..", "deep/victim.txt"])
def test_a_manifest_cannot_lead_out_of_the_folder(fits: Fits, tmp_path: Path, name: str) -> None:
    beside, victim = tmp_path / "page_files", tmp_path / "victim.txt"
    (beside / "deep").mkdir(parents=True)
    victim.write_text("mine")
    (beside / "deep" / "victim.txt").write_text("mine")
    given = str(victim) if name == "/victim.txt" else name
    content = {"kind": written.KIND, "files": {given: written._digest(victim)}}
    (beside / written.MANIFEST).write_text(json.dumps(content))
    report([fits["two"]], tmp_path / "page.html")
    assert victim.read_text() == "mine"
    assert (beside / "deep" / "victim.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"kind": "else", "files": {"notes.csv": "x"}}', '{"kind": "report files", "files": 3}'],
)
def test_a_manifest_that_cannot_be_read_removes_nothing(fits: Fits, tmp_path: Path, text: str) -> None:
    beside = tmp_path / "page_files"
    beside.mkdir()
    (beside / "notes.csv").write_text("mine")
    (beside / written.MANIFEST).write_text(text)
    report([fits["two"]], tmp_path / "page.html")
    assert (beside / "notes.csv").read_text() == "mine"
    assert json.loads((beside / written.MANIFEST).read_text())["kind"] == written.KIND


def test_an_error_on_the_way_removes_nothing_and_the_next_report_clears_up(
    fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, beside = tmp_path / "page.html", tmp_path / "page_files"
    report([fits["three"]], page)
    before = names(beside)

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "page", interrupt)
        with pytest.raises(KeyboardInterrupt):
            report([fits["two"]], page)
    assert before < names(beside)
    report([fits["three"]], page)
    assert names(beside) == before


def test_a_page_among_the_results_is_no_result_itself(fits: Fits, tmp_path: Path) -> None:
    results = Path(shutil.copytree(fits["two"], tmp_path / "two"))
    first = read(report([results], results / "page.html")).data
    assert (results / "page_files" / "contour_cHW_cHq3_two.csv").exists()
    assert read(report([results], results / "page.html")).data == first
