"""report: from folders of results to a page with its figures and tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.progress import Progress, TaskID

from ..errors import InputError, require
from ..progress import progress_bar
from ..storage import check_target, make_folder, write_text
from .found import find
from .page import page
from .payload import payload
from .recomputed import Recomputed, recompute
from .section import Section
from .sections import sections
from .written import take_down, tracked

FORMATS = (".png", ".pdf")


def report(
    folders: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "report.html",
    *,
    title: str | None = None,
    progress: bool = False,
) -> Path:
    """Write one HTML page about the results in some folders, and return its path.

    folders: as `smeft-unbinned fit`, `scan`, `diagnose` and `compare` write them; several are shown side by
        side. output: the page; figures as PNG and PDF, and tables as CSV, go to NAME_files beside it.
    title: of the page; default the names of the folders.
    Files that an earlier report wrote there, and this one does not, are removed; files of anybody else stay.
    Without matplotlib there are no files of figures, and the page says so.
    Raises InputError for folders that are missing or hold no results, damaged results, and an output that
    cannot be written.
    """
    target = check_target(output)
    again: dict[str, Recomputed] = {}
    with progress_bar(progress) as bar:
        task = bar.add_task("report", total=None, note="")
        found = find([Path(folder) for folder in folders], lambda text: bar.update(task, note=text))
        bar.update(task, total=len(found) + 2)
        for one in found:

            def say(text: str, head: str = one.label) -> None:
                bar.update(task, note=f"{head}: {text}")

            again[one.label] = recompute(one, say)
            bar.advance(task)
        parts = sections(found, again)
        bar.update(task, total=len(found) + 2 + sum(len(part.drawings) for part in parts))
        beside = make_folder(target.with_name(f"{target.stem}_files"))
        messages: list[str] = []
        written: dict[str, list[str]] = {}
        with tracked(beside) as files:
            for stem, paths in (*_figures(parts, beside, bar, task, messages), *_tables(parts, beside)):
                take_down(files, paths)
                written.setdefault(stem, []).extend(f"{beside.name}/{path.name}" for path in paths)
            shown = title if title is not None else "Results of " + ", ".join(one.label for one in found)
            text = page(shown, found, again, parts, payload(found, again), written, messages)
            write_text(target, text)
        bar.advance(task, 2)
    return target


def _figures(
    parts: Sequence[Section], folder: Path, bar: Progress, task: TaskID, messages: list[str]
) -> Iterator[tuple[str, list[Path]]]:
    """Draw every figure and yield its name and files; without matplotlib none, and a message."""
    try:
        require("matplotlib", "plot")
    except InputError as error:
        messages.append(f"Figures were not written as files: {error}")
        return
    for part in parts:
        for stem, (_, draw) in part.drawings.items():
            bar.update(task, note=f"figure {stem}")
            yield stem, [draw(folder / f"{stem}{suffix}") for suffix in FORMATS]
            bar.advance(task)


def _tables(parts: Sequence[Section], folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Write every table as CSV, and yield its name and file."""
    for part in parts:
        for stem, frame in {**{k: f for k, (_, f) in part.tables.items()}, **part.whole}.items():
            numbered = frame.index.name is None and frame.index.dtype.kind == "i"
            path = folder / f"{stem}.csv"
            write_text(path, frame.to_csv(index=not numbered))
            yield stem, [path]
