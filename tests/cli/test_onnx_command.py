"""smeft-unbinned onnx: the file, the line with the difference, exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smeft_unbinned import Events, InputError
from smeft_unbinned.cli.onnx import command

pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("onnx", reason="the onnx extra is not installed")
pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, zh_events: Events) -> Path:
    from smeft_unbinned import train

    path = tmp_path_factory.mktemp("onnx")
    sample = zh_events[:600]
    train(sample, replicas=2, epochs=1, hidden=(6,), seed=1).save(path / "zh.model")
    sample.save(path / "zh.events")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments])


def difference(result: Result) -> float:
    found = re.search(r"largest relative difference on [\d,]+ (?:random )?events: (\S+)", result.output)
    assert found, result.output
    return float(found.group(1))


def test_writes_and_compares_on_random_events(folder: Path, tmp_path: Path) -> None:
    result = run(folder / "zh.model", "-o", tmp_path / "zh.onnx", "-n", 1200, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "coefficients of cHW, cHq3, cHWtil" in result.output
    assert "on 1,200 random events" in result.output
    assert difference(result) < 1e-5
    assert (tmp_path / "zh.onnx").stat().st_size > 1000


def test_compares_on_events_and_writes_members(folder: Path, tmp_path: Path) -> None:
    import onnx

    files = (folder / "zh.model", "-o", tmp_path / "zh.onnx", "--check", folder / "zh.events")
    result = run(*files, "--members")
    assert result.exit_code == 0, result.output
    assert "on 600 events" in result.output
    assert difference(result) < 1e-5
    assert [o.name for o in onnx.load(tmp_path / "zh.onnx").graph.output] == ["coefficients", "replicas"]


def test_a_difference_beyond_rounding_ends_with_code_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smeft_unbinned.estimators import onnx_export

    write = onnx_export.to_onnx

    def altered(estimator: onnx_export.Estimator, path: Path, *, members: bool) -> Path:
        return write(estimator.calibrated(1.001 * estimator.calibration), path, members=members)

    monkeypatch.setattr(onnx_export, "to_onnx", altered)
    result = run(folder / "zh.model", "-o", tmp_path / "zh.onnx")
    assert result.exit_code == 1
    assert difference(result) > 1e-4
    assert "do not use it" in result.output


def test_inputs_are_not_overwritten(folder: Path) -> None:
    before = (folder / "zh.model").read_bytes()
    result = run(folder / "zh.model", "-o", folder / "zh.model")
    assert isinstance(result.exception, InputError)
    assert "would be overwritten" in str(result.exception)
    assert (folder / "zh.model").read_bytes() == before
