"""Whatever the bytes, a reader returns events or raises InputError: nothing else comes out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from event_writers import madminer_fields, random_events, write_madminer, write_root
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lhe_writer import Lhe, text_of

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import (
    parse_reweight_card,
    read_lhe,
    read_madminer,
    read_nuisances,
    read_root,
    read_table,
)

SAMPLE = random_events(8)
QUIET = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
READERS = {
    "a.lhe": read_lhe,
    "a.lhe.gz": read_lhe,
    "a.h5": read_madminer,
    "b.h5": read_nuisances,
    "a.root": lambda path: read_root(
        path, observables=["pt", "eta", "Jet_pt[0]"], points=SAMPLE.named, missing=0
    ),
    "a.parquet": lambda path: read_table(path, points=SAMPLE.named),
    "a.csv": lambda path: read_table(path, points=SAMPLE.named),
    "a.csv.gz": lambda path: read_table(path, points=SAMPLE.named),
    "a.dat": parse_reweight_card,
}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, bytes]:
    """One sound file per format."""
    folder = tmp_path_factory.mktemp("good")
    texts = {label: text_of(p) for label, p in zip(SAMPLE.labels, SAMPLE.points.tolist(), strict=True)}
    lhe = Lhe(SAMPLE.weights, texts, SAMPLE.weights[:, 0])
    for name in ("a.lhe", "a.lhe.gz"):
        lhe.write(folder / name)
    for name in ("a.h5", "b.h5"):
        write_madminer(folder / name, madminer_fields(SAMPLE))
    write_root(folder / "a.root", SAMPLE)
    SAMPLE.frame().to_parquet(folder / "a.parquet")
    for name in ("a.csv", "a.csv.gz"):
        SAMPLE.frame().to_csv(folder / name, index=False)
    (folder / "a.dat").write_text("launch --rwgt_name=a\nset SMEFT 1 0.5\nlaunch\nset SMEFT 1 -1e-2 # x\n")
    return {name: (folder / name).read_bytes() for name in READERS}


def attempt(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with suppress(InputError):
        READERS[path.name](path)


@pytest.mark.parametrize("name", READERS)
def test_random_bytes(tmp_path, good, name):
    @QUIET
    @given(st.binary(max_size=400), st.booleans())
    def run(data, head):
        attempt(tmp_path / name, (good[name][:16] if head else b"") + data)

    run()


@pytest.mark.parametrize("name", READERS)
def test_changed_bytes(tmp_path, good, name):
    data = good[name]
    change = st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255))

    @QUIET
    @given(st.lists(change, min_size=1, max_size=6), st.integers(0, len(data)))
    def run(changes, cut):
        changed = bytearray(data)
        for where, value in changes:
            changed[where] = value
        attempt(tmp_path / name, bytes(changed))
        attempt(tmp_path / name, data[:cut])

    run()


WORDS = st.sampled_from(
    ["launch", "set", "SMEFT", "5", "7", "0.1", "--rwgt_name=a", "param_card", "nan", "#", "x"]
)


@QUIET
@given(st.lists(st.lists(WORDS, max_size=6), max_size=8))
def test_reweighting_cards_of_random_words(tmp_path, lines):
    path = tmp_path / "card.dat"
    path.write_text("\n".join(" ".join(words) for words in lines))
    with suppress(InputError):
        points = parse_reweight_card(path)
        assert all(np.isfinite(x) for point in points.values() for x in point.values())


CELL = st.sampled_from(["1", "2.5", "-1", "", "nan", "inf", "x", '"', "1e400", ",", "\n", "\t"])


@QUIET
@given(st.lists(CELL, max_size=40))
def test_csv_of_random_cells(tmp_path, cells):
    path = tmp_path / "a.csv"
    path.write_text("pt,w\n" + ",".join(cells))
    with suppress(InputError):
        events = read_table(path, nominal="w")
        assert np.all(np.isfinite(events.weights))
