"""Streaming of LHE files through pylhe: header, then batches of events, with errors that name the event.

pylhe turns malformed XML into a warning, and a weight given twice in one event into its last value; here both
are errors. The stream is watched on its way into the parser for this, so that the file is read only once.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import warnings
import zlib
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError, require
from ..inputfile import check_regular

_TAG = re.compile(rb"<(?:(event)(?=[\s>])|wgt\s[^>]*?id\s*=\s*[\"']([^\"']*)[\"'])")
_UNREADABLE = (EOFError, OSError, zlib.error)
_MALFORMED = (
    RuntimeWarning, ValueError, OverflowError, IndexError, KeyError, AttributeError, TypeError, StopIteration
)  # fmt: skip
_LONGEST_TAG = 2**16
MAX_GAP = 2**26
"""Bytes without the start of an event, of a header say, after which a file counts as no LHE file."""
MAX_PARTICLES = 1000
"""Particles of an event; parton-level ones have some ten."""


class Stream:
    """A binary file, unpacked where it is gzip, that notes the weight ids of each event going by."""

    def __init__(self, path: Path) -> None:
        self.raw: BinaryIO = path.open("rb")
        packed = self.raw.read(2) == b"\x1f\x8b"
        self.raw.seek(0)
        self.file: Any = gzip.GzipFile(fileobj=self.raw) if packed else self.raw
        self.seen: deque[list[bytes]] = deque()
        self.position = 0  # in bytes of the file, for progress bars
        self._rest = b""
        self._gap = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, after noting events and weight tags in them."""
        data = bytes(self.file.read(size))
        self.position = self.raw.tell()
        self._gap += len(data)
        if self._gap > MAX_GAP:
            raise ValueError(f"{MAX_GAP >> 20} MiB without an event")
        text = self._rest + data
        cut = text.rfind(b">") + 1
        for match in _TAG.finditer(text, 0, cut):
            if match.group(1):
                self.seen.append([])
                self._gap = len(text) - match.start()
            elif self.seen:
                self.seen[-1].append(match.group(2))
        self._rest = text[max(cut, len(text) - _LONGEST_TAG) :]
        return data

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()


class LheFile:
    """An open LHE file: `init` and `header` as pylhe gives them, and batches of events.

    Raises InputError, naming the file and the event, for a file that is missing, truncated or malformed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.name
        pylhe = require("pylhe", "lhe")
        if not hasattr(pylhe, "LHEHeader"):
            raise InputError("reading LHE files needs pylhe 2 or later; pip install --upgrade pylhe")
        check_regular(self.path, "file")
        try:
            self.stream = Stream(self.path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        self.done = 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                document = pylhe.LHEFile.frombuffer(self.stream)
            if not document.init.procInfo:
                raise ValueError("the <init> block lists no process")
        except (*_UNREADABLE, *_MALFORMED) as error:
            self.stream.close()
            raise InputError(
                f"{path} is not a readable LHE file: header or <init> block: {_reason(error)}; fetch it again"
            ) from error
        self.init: Any = document.init
        self.header: Any = document.header
        self._events: Iterator[Any] = iter(document.events)

    def text(self, tag: str) -> str:
        """Return the text of a header element, empty where there is none."""
        elements = self.header.extra_elements if self.header is not None else []
        return next((e.text or "" for e in elements if str(e.tag).lower() == tag.lower()), "")

    def weights(self) -> list[tuple[str, str, str]]:
        """Return id, group and text of the weights that the header lists."""
        found = []
        for entry in self.header.initrwgt.entries if self.header is not None else []:
            inner = getattr(entry, "weights", None)
            about = {} if inner is None else entry.attributes
            group = str(about.get("name", about.get("type", "")))
            found += [(str(w.id), group, str(w.name)) for w in ([entry] if inner is None else inner)]
        return found

    def batch(self, size: int) -> list[Any]:
        """Return the next events, at most `size`; an empty list at the end of the file."""
        events: list[Any] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                for event in islice(self._events, size):
                    self._check(event, self.done + len(events))
                    events.append(event)
        except _UNREADABLE as error:
            raise self._error(len(events), f"the file ends early ({_reason(error)})") from error
        except _MALFORMED as error:
            if isinstance(error, InputError):
                raise
            raise self._error(len(events), f"cannot be read: {_reason(error)}") from error
        self.done += len(events)
        return events

    def _check(self, event: Any, number: int) -> None:
        ids = self.stream.seen.popleft() if self.stream.seen else []
        if len(set(ids)) < len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise InputError(
                f"{self.name}, event {number}: weight {twice.decode(errors='replace')!r} is listed twice"
            )
        if len(event.particles) > MAX_PARTICLES:
            raise InputError(
                f"{self.name}, event {number}: {len(event.particles)} particles, more than {MAX_PARTICLES}; "
                "read events at parton level"
            )
        if len(event.particles) != event.eventinfo.nparticles:
            raise InputError(
                f"{self.name}, event {number}: {len(event.particles)} particles, but NUP says "
                f"{event.eventinfo.nparticles}"
            )

    def _error(self, offset: int, what: str) -> InputError:
        return InputError(
            f"{self.name}, event {self.done + offset}: {what}; repair the file or fetch it again"
        )

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
