"""report: from folders of results to a page with its figures and tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, require
from ..progress import progress_bar
from ..storage import check_target, make_folder, write_text
from .found import find
from .page import page
from .payload import payload
from .recomputed import recompute
from .section import Section
from .sections import pairs, sections

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
    Without matplotlib there are no files of figures, and the page says so.
    Raises InputError for folders that are missing or hold no results, damaged results, and an output that
    cannot be written.
    """
    target = check_target(output)
    found = find([Path(folder) for folder in folders])
    again = {}
    with progress_bar(progress) as bar:
        task = bar.add_task("report", total=len(found) + 2, note="")
        for one in found:
            bar.update(task, note=f"data of {one.label}")
            again[one.label] = recompute(one)
            bar.advance(task)
        parts = sections(found, again)
        names = [stem for part in parts for stem in part.drawings]
        bar.update(task, total=len(found) + 2 + len(names))
        beside = make_folder(target.with_name(f"{target.stem}_files"))
        messages: list[str] = []
        written: dict[str, list[str]] = {name: [] for name in names}
        try:
            require("matplotlib", "plot")
        except InputError as error:
            messages.append(f"Figures were not written as files: {error}")
            bar.advance(task, len(names))
        else:
            for part in parts:
                for stem, (_, draw) in part.drawings.items():
                    bar.update(task, note=f"figure {stem}")
                    paths = [draw(beside / f"{stem}{suffix}") for suffix in FORMATS]
                    written[stem] = [f"{beside.name}/{path.name}" for path in paths]
                    bar.advance(task)
        _tables(parts, beside, written)
        bar.advance(task)
        data = {**payload(found, again), "pairs": pairs(found)}
        shown = title if title is not None else "Results of " + ", ".join(one.label for one in found)
        write_text(target, page(shown, found, again, parts, data, written, messages))
        bar.advance(task)
    return target


def _tables(parts: Sequence[Section], folder: Path, written: dict[str, list[str]]) -> None:
    """Write every table as CSV, and add the files to those that were written."""
    for part in parts:
        for stem, frame in {**{k: f for k, (_, f) in part.tables.items()}, **part.whole}.items():
            numbered = frame.index.name is None and frame.index.dtype.kind == "i"
            write_text(folder / f"{stem}.csv", frame.to_csv(index=not numbered))
            written.setdefault(stem, []).append(f"{folder.name}/{stem}.csv")
