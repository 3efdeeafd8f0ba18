"""Tables of a command that makes several: each is kept as it comes, until all of them are there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError
from ..inputfile import fitting, read_json
from ..storage import make_folder, write_text
from .interrupt import keep


class Unfinished:
    """Tables in the subfolder `unfinished` of a folder, a file each, with what they were made from.

    settings: of JSON types, common to all tables. A file of other settings is not taken.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = make_folder(folder / "unfinished"), settings
        self._files: list[Path] = []
        keep(self._folder)

    def table(self, name: str, make: Callable[[], pd.DataFrame], **settings: Any) -> pd.DataFrame:
        """Return the table that is kept under a name, and make and keep it where there is none."""
        path, made_from = self._folder / f"{name}.json", {**self._settings, **settings}
        self._files.append(path)
        with contextlib.suppress(InputError), fitting(path, "unfinished table"):  # else it is made anew
            content = read_json(path, "unfinished table")
            if content["settings"] == json.loads(json.dumps(made_from)):
                kept = pd.DataFrame(content["columns"])
                kept.attrs.update(content["attrs"])
                return kept
        frame = make()
        content = {"settings": made_from, "attrs": frame.attrs, "columns": frame.to_dict("list")}
        write_text(path, json.dumps(content))
        return frame

    def done(self) -> None:
        """Remove the files: everything is written elsewhere."""
        for path in self._files:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # those of another call are in it
            self._folder.rmdir()
