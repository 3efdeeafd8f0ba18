"""The running as a linear map: what the block of a card means, and matrices from files."""

from __future__ import annotations

import pickle
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rg_matrix_frames import SETTINGS, frame

from smeft_unbinned import rge, rge_compute
from smeft_unbinned.errors import InputError
from smeft_unbinned.rg_matrix import Matrix
from smeft_unbinned.rge import Running
from smeft_unbinned.rge_file import write_matrices
from smeft_unbinned.rge_parse import RunningBlock
from smeft_unbinned.runcard import Runcard

DEFAULTS = {"init_scale": 1000.0, "smeft_accuracy": "integrate", "adm_QCD": "full", "yukawa": "top"}
CARD = {"adm_QCD": False, "obs_scale": "dynamic", "rg_matrix": "rge_matrix.pkl"}
WHOLE = frame("OpB OpD OpW", "OpB OpW OtG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of SMEFiT's: two scales, the coefficients OpB, OpW, OtG."""
    other = 2 * WHOLE
    other.loc["OpW"] = 0.0
    content = {"rge_settings": SETTINGS, 91.0: WHOLE, 345: other}
    (tmp_path / "rge_matrix.pkl").write_bytes(pickle.dumps(content, 4))
    return tmp_path


@pytest.fixture(autouse=True)
def no_smefit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where SMEFiT is not installed."""
    real = rge_compute.require

    def require(module: str, extra: str) -> types.ModuleType:
        return real("no_such_package" if module.startswith("smefit") else module, extra)

    monkeypatch.setattr(rge_compute, "require", require)


def test_defaults_are_those_of_smefit() -> None:
    block = RunningBlock.parse({})
    assert block.settings == DEFAULTS
    assert (block.obs_scale, block.scale_variation, block.rg_matrix) == (91.1876, 1.0, None)
    assert RunningBlock.parse({"adm_QCD": None, "init_scale": 5000}).settings == {
        **DEFAULTS, "adm_QCD": False, "init_scale": 5000.0,
    }  # fmt: skip
    assert RunningBlock.parse({"rg_matrix": None}).rg_matrix is None
    assert RunningBlock.parse({"rg_matrix": False}).rg_matrix is None


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ([1], "rge must hold keys and values"),
        ({"init_sacle": 1.0}, r"unknown key 'init_sacle'.*Did you mean 'init_scale'"),
        ({1: 2}, "unknown key 1"),
        (
            {"init_scale": "1e4"},
            r"init_scale must be a positive number in GeV, got '1e4'; in YAML .* 1.0e\+4",
        ),
        ({"init_scale": 0}, "init_scale must be a positive number in GeV, got 0"),
        ({"init_scale": True}, "got True"),
        ({"init_scale": float("nan")}, "got nan"),
        ({"init_scale": None}, "got None"),
        ({"obs_scale": "dynamics"}, "obs_scale, if not dynamic, must be a positive number in GeV"),
        ({"obs_scale": -91.0}, "got -91.0"),
        ({"smeft_accuracy": "leading"}, r"must be one of integrate, leadinglog.*Did you mean 'leadinglog'"),
        ({"smeft_accuracy": 3}, "got 3"),
        ({"yukawa": ["top"]}, "yukawa must be one of top, none, full"),
        ({"adm_QCD": "false"}, r"adm_QCD must be true \(QCD alone\) or false, got 'false'"),
        ({"adm_QCD": 1}, "got 1"),
        ({"scale_variation": 0.0}, "scale_variation must be a positive factor, got 0.0"),
        ({"rg_matrix": 3}, "rg_matrix must be the path of a file, got 3"),
    ],
)
def test_mistakes_in_the_block_are_named(block: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Running.parse(block, ["OpW"])


def test_scales_of_points() -> None:
    given = [100.0, np.nan, 345.0]
    fixed = Running.parse({"obs_scale": 91.0, "scale_variation": 2.0}, ["OpW"])
    np.testing.assert_array_equal(fixed.point_scales(given), [91.0] * 3)
    dynamic = Running.parse({"obs_scale": "dynamic", "scale_variation": 2.0, "init_scale": 5000.0}, ["OpW"])
    np.testing.assert_array_equal(dynamic.point_scales(given), [200.0, 10_000.0, 690.0])
    assert dynamic.point_scales([]).shape == (0,)
    for bad in (0.0, -5.0, np.inf):
        with pytest.raises(InputError, match=f"positive number in GeV, got {bad}"):
            dynamic.point_scales([100.0, bad])


def test_scales_of_exported_datasets() -> None:
    fixed = Running.parse({"obs_scale": 91.0, "scale_variation": 2.0}, ["OpW"])
    dynamic = Running.parse({"obs_scale": "dynamic", "scale_variation": 2.0}, ["OpW"])
    assert fixed.dataset_scale(400, "zh") == 400.0
    assert dynamic.dataset_scale(np.float64(400), "zh") == 800.0
    with pytest.raises(InputError, match="dataset zh has no scale; do this"):
        fixed.dataset_scale(None, "zh", "do this")
    with pytest.raises(InputError, match="dataset zh: scale must be a positive number in GeV, got 'x'"):
        fixed.dataset_scale("x", "zh")


def test_matrices_come_from_the_file_by_name(folder: Path) -> None:
    running = Running.parse(CARD, ["OtG", "gUV", "OpB"], folder)
    generated, matrix = running.matrix(91.0)
    assert generated == ("OpB", "OpD", "OpW")
    np.testing.assert_array_equal(matrix[:, [0, 2]], WHOLE[["OtG", "OpB"]].to_numpy())
    assert not matrix[:, 1].any()
    assert not matrix.flags.writeable
    assert running.matrix(91.0)[1] is matrix
    generated, matrix = running.matrix(345.0)
    assert generated == ("OpB", "OpD")  # no row of zeros
    np.testing.assert_array_equal(matrix[:, 0], 2 * WHOLE["OtG"].to_numpy()[:2])


def test_what_the_file_lacks_is_named_with_both_ways_out(folder: Path) -> None:
    running = Running.parse(CARD, ["OtG", "OpQM", "Opt", "gUV"], folder)
    assert running.missing(91.0) == ["OpQM", "Opt"]
    assert running.missing(500.0) == ["OtG", "OpQM", "Opt"]
    words = r"pkl has no matrix of OpQM, Opt to 91 GeV.*pip install.*smeft-unbinned\[smefit\].*rg_matrix"
    with pytest.raises(InputError, match=words):
        running.matrix(91.0)
    with pytest.raises(InputError, match="no file gives the running of OtG to 1000 GeV"):
        Running.parse({"obs_scale": "dynamic"}, ["OtG"]).matrix(None)
    with pytest.raises(InputError, match="no such rg_matrix"):
        Running.parse({**CARD, "rg_matrix": "nowhere.pkl"}, ["OtG"], folder)


def test_settings_of_the_file_have_to_be_those_of_the_card(folder: Path) -> None:
    with pytest.raises(InputError, match=r"init_scale is 1000.0 there, and 2000.0 in the card"):
        Running.parse({**CARD, "init_scale": 2000.0}, ["OtG"], folder)
    with pytest.raises(InputError, match="adm_QCD is False there, and 'full' in the card"):
        Running.parse({"rg_matrix": "rge_matrix.pkl"}, ["OtG"], folder)
    qcd = {**SETTINGS, "adm_QCD": "full"}
    (folder / "qcd.pkl").write_bytes(pickle.dumps({"rge_settings": qcd}))
    assert Running.parse({"adm_QCD": True, "rg_matrix": "qcd.pkl"}, ["OtG"], folder).source
    less = {key: value for key, value in SETTINGS.items() if key != "yukawa"}
    (folder / "less.pkl").write_bytes(pickle.dumps({"rge_settings": {**less, "loops": 2}}))
    with pytest.raises(
        InputError, match=r"does not say its yukawa; loops is 2.0 there, and None in the card"
    ):
        Running.parse({**CARD, "rg_matrix": "less.pkl"}, ["OtG"], folder)


def test_a_saved_file_gives_the_same(folder: Path, tmp_path: Path) -> None:
    running = Running.parse(CARD, ["OtG", "OpB"], folder)
    running.matrix(91.0)
    running.save(tmp_path / "safe")
    loaded = Running.load(tmp_path / "safe")
    assert loaded.operators == running.operators
    assert loaded.block == RunningBlock.parse({**CARD, "rg_matrix": None})
    assert set(loaded.matrices) == {91.0, 345.0}
    for other in (loaded, Running.parse({**CARD, "rg_matrix": "safe"}, ["OtG", "OpB"], tmp_path)):
        for scale in (91.0, 345.0):
            assert other.matrix(scale)[0] == running.matrix(scale)[0]
            np.testing.assert_array_equal(other.matrix(scale)[1], running.matrix(scale)[1])
    assert "OpW" in loaded.matrices[91.0].names  # other cards can use the file
    with pytest.raises(InputError, match="yukawa is 'top' there, and 'none' in the card"):
        Running.parse({**CARD, "rg_matrix": "safe", "yukawa": "none"}, ["OtG"], tmp_path)


def test_a_file_with_matrices_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_matrices(
        tmp_path / "x", {91.0: Matrix(("a",), ("b",), np.zeros((2, 1)))}, {"rge": {}, "operators": []}
    )
    with pytest.raises(InputError, match="does not hold matrices of the running: a matrix of shape"):
        Running.load(tmp_path / "x")
    write_matrices(tmp_path / "x", {}, {"operators": []})
    with pytest.raises(InputError, match="lacks the entry 'rge'"):
        Running.load(tmp_path / "x")


def test_notes_say_what_one_might_not_expect() -> None:
    assert Running.parse({"adm_QCD": False}, ["OtG"]).notes == ()
    first, second, third = Running.parse({"scale_variation": 2.0}, ["OtG", "gUV"]).notes
    assert "only the strong" in first
    assert "no effect on binned data" in second
    assert "gUV run into nothing" in third
    assert "Did you mean 'OtG'?" in Running.parse({"adm_QCD": False}, ["OtGG"]).notes[0]
    assert Running.parse({"adm_QCD": False}, ["OtG", "gUV"], without_effect=["gUV"]).notes == ()


def test_a_card_notes_only_what_would_have_moved_the_data() -> None:
    coefficients = {
        "gUV": {"min": -1, "max": 1},  # acts through the rule alone
        "OtG": {"constrain": [{"gUV": [0.5, 2]}]},
        "off": {"constrain": True, "value": 0},
        "lost": {"min": -1, "max": 1},
    }
    content = {"datasets": ["A"], "coefficients": coefficients, "rge": {"adm_QCD": False}}
    running = Runcard.from_dict(content).running
    assert running is not None
    (note,) = running.notes
    assert "rge: lost run into nothing" in note


class Computer:
    """Stands for SMEFiT: coefficient X becomes scale * X; stops after so many calls."""

    def __init__(self, calls: int = 1000) -> None:
        self.calls, self.seen = calls, list[tuple[str, float]]()

    def __call__(self, settings: dict[str, Any], names: list[str], scale: float, done: Any) -> Matrix:
        if not self.calls:
            raise KeyboardInterrupt
        self.calls -= 1
        for name in names:
            self.seen.append((name, scale))
            done()
        return Matrix(tuple(names), tuple(names), scale * np.eye(len(names)))


def test_missing_columns_are_computed_and_joined(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computer = Computer()
    monkeypatch.setattr(rge, "compute", computer)
    running = Running.parse(CARD, ["Opt", "OtG"], folder)
    generated, matrix = running.matrix(91.0)
    assert computer.seen == [("Opt", 91.0)]
    assert generated == ("OpB", "OpD", "OpW", "Opt")
    np.testing.assert_array_equal(matrix, [*np.column_stack([np.zeros(3), WHOLE["OtG"]]), [91.0, 0.0]])
    assert running.missing(91.0) == []


def test_an_interrupted_computation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rge, "compute", Computer(2))
    file, scales = tmp_path / "matrices", [100.0, 200.0, 300.0]
    block = {"obs_scale": "dynamic", "adm_QCD": False}
    with pytest.raises(KeyboardInterrupt):
        Running.parse(block, ["Opt", "OtG"]).prepare(scales, file=file)
    computer = Computer()
    monkeypatch.setattr(rge, "compute", computer)
    running = Running.parse({**block, "rg_matrix": str(file)}, ["Opt", "OtG"])
    running.prepare([*scales, 100.0], file=file, progress=True)
    assert computer.seen == [("Opt", 300.0), ("OtG", 300.0)]
    assert set(Running.load(file).matrices) == set(scales)
    with pytest.raises(InputError, match="does not exist"):
        running.prepare(scales, file=tmp_path / "no" / "file")


def test_a_long_computation_is_saved_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rge, "compute", Computer())
    monkeypatch.setattr(rge, "SAVE_EVERY", -1.0)
    saved: list[int] = []
    monkeypatch.setattr(Running, "save", lambda self, file: saved.append(len(self._whole)))
    Running.parse({"obs_scale": "dynamic"}, ["Opt"]).prepare([100.0, 200.0], file=tmp_path / "x")
    assert saved == [1, 2, 2]
