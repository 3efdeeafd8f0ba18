"""Files rg_matrix of SMEFiT: those of several versions of pandas are read, and everything else is refused."""

from __future__ import annotations

import base64
import json
import os
import pickle
import pickletools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rg_matrix_frames import PROTOCOLS, SETTINGS, TARGET, content, frame, plain

from smeft_unbinned import rg_matrix
from smeft_unbinned.errors import InputError
from smeft_unbinned.rg_matrix import Matrix, read_rg_matrix

STORED = json.loads(TARGET.read_text(encoding="utf-8"))
FILES = {
    f"{name}, protocol {protocol}": zlib.decompress(base64.b64decode(text))
    for name, protocols in STORED["files"].items()
    for protocol, text in protocols.items()
}


def write(folder: Path, data: bytes | object, protocol: int = 4) -> Path:
    """Write bytes, or a pickle of an object, and return the file."""
    path = folder / "rge_matrix.pkl"
    path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, protocol))
    return path


def check(path: Path) -> None:
    """Compare a file with the frames that all of these files hold."""
    found, matrices = read_rg_matrix(path)
    assert found == SETTINGS
    assert {repr(s): [list(m.generated), list(m.names), m.values.tolist()] for s, m in matrices.items()} == (
        STORED["frames"]
    )
    assert all(m.values.dtype == np.float64 for m in matrices.values())


@pytest.mark.parametrize("case", FILES)
def test_files_of_every_pandas_are_read(case: str, tmp_path: Path) -> None:
    check(write(tmp_path, FILES[case]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_files_of_this_pandas_are_read(protocol: int, tmp_path: Path) -> None:
    frames = content()
    assert plain(frames) == STORED["frames"]
    check(write(tmp_path, frames, protocol))


def test_settings_may_be_numbers_of_numpy(tmp_path: Path) -> None:
    given = {"init_scale": np.float32(500), "n": np.int64(-3), "adm_QCD": np.True_, "x": None, "i": 7}
    found, _ = read_rg_matrix(write(tmp_path, {"rge_settings": given}))
    assert found == {"init_scale": 500.0, "n": -3.0, "adm_QCD": True, "x": None, "i": 7.0}


def test_nothing_of_a_file_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {mark}",)

    places: list[Any] = [
        Hostile(),
        {"rge_settings": Hostile()},
        {"rge_settings": {"yukawa": Hostile()}},
        {"rge_settings": SETTINGS, 100.0: Hostile()},
        {**content(), 5.0: [Hostile()]},
    ]
    for value in places:
        with pytest.raises(InputError, match=r"nothing\s+in them is executed"):
            read_rg_matrix(write(tmp_path, value))
    assert not mark.exists()


REFUSED: dict[str, tuple[Any, str]] = {
    "a list": ([1, 2], "a list of length 2 in place of a dictionary"),
    "no settings": ({100.0: frame("OpW", "OpW")}, "'rge_settings' is missing"),
    "another entry": ({**content(), "scales": [1]}, "the entry 'scales'"),
    "settings in a list": ({"rge_settings": [1]}, "in place of a dictionary"),
    "a setting that is a list": ({"rge_settings": {"yukawa": [1]}}, "a list of length 1 as the setting"),
    "a negative scale": ({"rge_settings": SETTINGS, -3.0: frame("OpW", "OpW")}, "found -3.0"),
    "a scale that is not finite": (
        {"rge_settings": SETTINGS, np.float32(np.inf): frame("OpW", "OpW")},
        "found inf",
    ),
    "a scale that is no number": ({"rge_settings": SETTINGS, (1,): frame("OpW", "OpW")}, "a tuple"),
    "a scale that is true": ({"rge_settings": SETTINGS, True: frame("OpW", "OpW")}, "found True"),
    "a scale that is huge": ({"rge_settings": SETTINGS, 2**70: frame("OpW", "OpW")}, r"above 2\^63"),
    "an array": ({"rge_settings": SETTINGS, 5.0: np.eye(3)}, "in place of pandas.DataFrame"),
    "a series": ({"rge_settings": SETTINGS, 5.0: pd.Series([1.0])}, "in place of pandas.DataFrame"),
    "whole numbers": ({"rge_settings": SETTINGS, 5.0: frame("OpW", "OpW").astype(int)}, "double precision"),
    "objects": ({"rge_settings": SETTINGS, 5.0: frame("OpW", "OpW").astype(object)}, "objects"),
    "texts": ({"rge_settings": SETTINGS, 5.0: frame("OpW", "OpW").astype(str)}, "in place of|objects"),
    "not a number": ({"rge_settings": SETTINGS, 5.0: frame("OpW", "OpW") * np.nan}, "not finite"),
    "numbered rows": ({"rge_settings": SETTINGS, 5.0: frame("OpW", "OpW").reset_index(drop=True)}, "Range"),
    "rows with numbers": ({"rge_settings": SETTINGS, 5.0: pd.DataFrame([[1.0]], [3], ["a"])}, "numbers"),
    "rows of two kinds": (
        {"rge_settings": SETTINGS, 5.0: pd.DataFrame([[1.0], [2.0]], [3, "a"], ["a"])},
        "not texts",
    ),
    "a row twice": ({"rge_settings": SETTINGS, 5.0: frame("OpW OpW", "OpW")}, "not distinct"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("protocol", [2, 5])
def test_other_content_is_refused(case: str, protocol: int, tmp_path: Path) -> None:
    value, words = REFUSED[case]
    path = write(tmp_path, value, protocol)
    with pytest.raises(InputError, match=words) as caught:
        read_rg_matrix(path)
    assert str(path) in str(caught.value)
    assert "smefit RGE" in str(caught.value)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, content())
    with pytest.raises(InputError, match=r"no such rg_matrix.*Did you mean 'rge_matrix.pkl'"):
        read_rg_matrix(tmp_path / "rg_matrix.pkl")
    with pytest.raises(InputError, match="cannot read"):
        read_rg_matrix(tmp_path)
    monkeypatch.setattr(rg_matrix, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="an rg_matrix has"):
        read_rg_matrix(path)


def test_a_part_that_is_used_again_is_read_once(tmp_path: Path) -> None:
    whole = frame("OpB OpW", "OpB OpW")
    matrices = read_rg_matrix(write(tmp_path, {"rge_settings": SETTINGS, 1.0: whole, 2.0: whole}))[1]
    assert matrices[1.0].values is matrices[2.0].values


def test_parts_that_together_exceed_the_file_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Frames that differ, but refer to the same block of zeros and to the same names."""
    names = [f"c{i}" for i in range(300)]
    data = pickle.dumps({"rge_settings": SETTINGS, 1.0: pd.DataFrame(np.zeros((300, 300)), names, names)}, 4)
    pieces = [(op.name, at) for op, _, at in pickletools.genops(data)]
    new = next(at for name, at in pieces if name == "NEWOBJ")
    build = [at for name, at in pieces if name == "BUILD"][-1]
    memo = sum(name == "MEMOIZE" for name, _ in pieces)
    before = sum(name == "MEMOIZE" for name, at in pieces if at < new)
    again = (
        b"G" + struct.pack(">d", 2.0) + b"h" + bytes([before - 1]) + b")\x81"
    )  # the class, and a new frame
    state = data[build - 1 : build]  # SETITEMS, which ends the state of the first frame
    assert state == b"u"
    kept = data[:build] + b"r" + struct.pack("<I", memo) + data[build:-2]  # remembers that state
    many = b"".join(
        again.replace(struct.pack(">d", 2.0), struct.pack(">d", i + 2.0))
        + b"j" + struct.pack("<I", memo) + b"b"
        for i in range(50)
    )  # fmt: skip
    assert len(read_rg_matrix(write(tmp_path, kept + b"u."))[1]) == 1
    path = write(tmp_path, kept + many + b"u.")
    assert len(pickle.loads(path.read_bytes())) == 52
    with pytest.raises(InputError, match="larger than the file"):
        read_rg_matrix(path)


NEWEST = [data for name, data in FILES.items() if not name.startswith("pandas 1") and "3" not in name[-1]]


@given(st.data())
@settings(
    max_examples=600,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_damaged_files_give_an_input_error_or_matrices(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(NEWEST)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["change", "remove", "insert", "cut", "copy"]))
        if kind == "change":
            raw[at] = data.draw(st.integers(0, 255))
        elif kind == "remove":
            del raw[at : at + data.draw(st.integers(1, 20))]
        elif kind == "insert":
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        elif kind == "copy":
            raw[at:at] = raw[: data.draw(st.integers(1, 60))]
        else:
            del raw[at + 1 :]
        if not raw:
            break
    try:
        _, matrices = read_rg_matrix(write(tmp_path, bytes(raw)))
    except InputError:
        return
    for scale, matrix in matrices.items():
        assert scale > 0
        assert matrix.values.shape == (len(matrix.generated), len(matrix.names))


def test_columns_join_and_are_selected() -> None:
    a = Matrix(("z", "b"), ("p", "q"), np.array([[1.0, 2.0], [3.0, 0.0]]))
    b = Matrix(("c", "b"), ("r",), np.array([[5.0], [6.0]]))
    both = a.joined(b)
    assert both.generated == ("b", "c", "z")
    np.testing.assert_array_equal(both.values, [[3, 0, 6], [0, 0, 5], [1, 2, 0]])
    part = both.select(["q", "new", "p"])
    assert part.generated == ("b", "z")
    np.testing.assert_array_equal(part.values, [[0, 0, 3], [2, 0, 1]])
    assert both.select(["new"]).values.shape == (0, 1)
    assert both.select([]).values.shape == (0, 0)
