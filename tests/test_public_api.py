"""Public functions take few arguments, and options that several of them share are one group, checked alike.

Counted are the arguments as they are written, without self, cls and `**options`. Dataclasses have no
`__init__` of their own to count: their fields are the parts of a record, and options have names at a call.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import smeft_unbinned
from smeft_unbinned import (
    GaussianDataset,
    Likelihood,
    Polynomial,
    UnbinnedDataset,
    combination,
    data_options,
    export,
    score_histogram,
)
from smeft_unbinned.datasets import gaussian, gaussian_load, unbinned
from smeft_unbinned.errors import InputError
from smeft_unbinned.events import (
    assembly,
    basis,
    choose_basis,
    dispatch,
    iterate_table,
    layout,
    lhe,
    read_events,
    read_lhe,
    read_root,
    read_table,
    root,
)
from smeft_unbinned.export import ExportChoice, ExportOptions
from smeft_unbinned.fit import auto, laplace, methods, minimise, nuts, sample
from smeft_unbinned.fit import options as fit_options
from smeft_unbinned.fitters import Term, term
from smeft_unbinned.keywords import take
from smeft_unbinned.processes import PROCESSES, collision, ttbar, vh
from smeft_unbinned.scores import HistogramChoice, HistogramOptions
from smeft_unbinned.statistics import coverage, lines, replica_fits

MOST = 7
PACKAGE = Path(smeft_unbinned.__file__).parent
GROUPS: list[tuple[Any, type]] = [
    (collision.CollisionOptions, collision.Collision),
    (collision.SelectionOptions, collision.Selection),
    (collision.SampleOptions, collision.Setup),
    (assembly.WeightOptions, assembly.Weighting),
    (layout.LayoutOptions, layout.Columns),
    (root.BranchOptions, root.Branches),
    (lhe.LheOptions, lhe.Wanted),
    (dispatch.FileOptions, dispatch.Given),
    (basis.SearchOptions, basis.Search),
    (lines.RunOptions, lines.Run),
    (fit_options.MinimumOptions, fit_options.MinimumSearch),
    (fit_options.SamplingOptions, fit_options.Sampling),
    (fit_options.NestedOptions, fit_options.Nested),
    (term.ScaleOptions, term.Scale),
    (gaussian.PointOptions, gaussian.Points),
    (gaussian_load.TableOptions, gaussian_load.Rules),
    (unbinned.EventOptions, unbinned.EventParts),
    (combination.CombinationOptions, combination.Combination),
    (data_options.DataOptions, data_options.DataChoice),
    (ExportOptions, ExportChoice),
    (HistogramOptions, HistogramChoice),
]
FRAME = pd.DataFrame({"x": np.arange(4.0)})
FORM = Polynomial(["cHW"], np.array([[1.0, 0.2, 0.5], [1.0, 0.4, 0.7]]))
EVENTS = UnbinnedDataset("a", FORM, FORM.sum())
CALLS: list[tuple[str, Callable[..., Any]]] = [
    ("enrgy", lambda **o: vh.differential({}, **o)),
    ("pt_min", lambda **o: vh.truth({}, **o)),
    ("tail", lambda **o: vh.cross_section(**o)),
    ("pt_edges", lambda **o: vh.generate(1, seed=1, **o)),
    ("mass_range", lambda **o: ttbar.differential({}, **o)),
    ("process", lambda **o: ttbar.truth({}, **o)),
    ("pt_edges", lambda **o: ttbar.cross_section(**o)),
    ("scales", lambda **o: ttbar.generate(1, seed=1, **o)),
    ("pt_max", lambda **o: PROCESSES["WH"].generate(1, seed=1, **o)),
    ("unweighted", lambda **o: PROCESSES["ZH"].cross_section(**o)),
    ("feature", lambda **o: read_table(FRAME, **o)),
    ("cross_section_pb", lambda **o: list(iterate_table(FRAME, **o))),
    ("weight", lambda **o: read_root("none.root", observables=["x"], **o)),
    ("cross_section_pb", lambda **o: read_lhe("none.lhe", **o)),
    ("features", lambda **o: read_events(["none.csv"], **o)),
    ("bound", lambda **o: choose_basis({"cHW": 1.0}, seed=1, **o)),
    ("seeds", lambda **o: coverage(None, **o)),
    ("toys", lambda **o: replica_fits(None, 10, **o)),
    ("strat", lambda **o: minimise(Likelihood([EVENTS]), **o)),
    ("bound", lambda **o: auto(Likelihood([EVENTS]), **o)),
    ("bound", lambda **o: laplace(Likelihood([EVENTS]), **o)),
    ("bound", lambda **o: nuts(Likelihood([EVENTS]), **o)),
    ("rotated", lambda **o: sample(Likelihood([EVENTS]), **o)),
    ("running", lambda **o: Term(EVENTS, **o)),
    ("group", lambda **o: GaussianDataset("a", [1.0, 1.0], FORM, np.eye(2), **o)),
    ("use_quads", lambda **o: GaussianDataset.load(["a"], **o)),
    ("background", lambda **o: UnbinnedDataset("a", FORM, FORM.sum(), **o)),
    ("background", lambda **o: EVENTS.replace(**o)),
    ("overlap", lambda **o: Likelihood([EVENTS], **o)),
    ("efficency", lambda **o: export(None, FRAME, FORM.sum(), **o)),
    ("bin", lambda **o: score_histogram("a", None, None, 1.0, **o)),
]


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef, method: bool) -> int:
    """Return the number of arguments, without the first one of a method and without `**options`."""
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
    a = function.args
    total = len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs) + (a.vararg is not None)
    return total - (method and not static)


def public(body: list[ast.stmt], prefix: str, method: bool = False) -> Iterator[tuple[str, int]]:
    """Yield name and number of arguments of every public function, also of those of public classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_") or node.name == "__init__":
                yield f"{prefix}.{node.name}", arguments(node, method)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{prefix}.{node.name}", method=True)
        elif isinstance(node, ast.If | ast.Try):
            yield from public(node.body, prefix, method)


def functions() -> dict[str, int]:
    found: dict[str, int] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "cli" and not any(part.startswith("_") and part != "__init__" for part in parts):
            found.update(public(ast.parse(path.read_text(encoding="utf-8")).body, ".".join(parts)))
    return found


def test_public_functions_take_few_arguments() -> None:
    found = functions()
    assert found["processes.vh.generate"] == 3  # n, seed, process
    assert found["statistics.coverage.coverage"] == 5
    many = {f"{name}, {count}" for name, count in found.items() if count > MOST}
    assert not many, f"more than {MOST} arguments; make shared ones a group of options"


@pytest.mark.parametrize(("options", "values"), GROUPS, ids=lambda group: group.__name__)
def test_keywords_of_a_group_are_the_fields_of_its_values(options: Any, values: type) -> None:
    assert options.__required_keys__ == set()
    assert options.__optional_keys__ == {f.name for f in fields(values)}


@pytest.mark.parametrize(("name", "call"), CALLS, ids=lambda x: x if isinstance(x, str) else "")
def test_unknown_options_are_refused_by_name(name: str, call: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        call(**{name: 1.0})


@pytest.mark.parametrize("method", methods.METHODS)
def test_a_method_knows_the_options_of_its_function(method: str) -> None:
    known = methods.options_of(method)
    assert "likelihood" not in known
    assert "options" not in known
    assert "seed" in known
    group = {values: options.__name__ for options, values in GROUPS}.get(methods.METHODS[method][2])
    annotation = inspect.get_annotations(methods.function_of(method)).get("options")
    assert annotation == (group and f"Unpack[{group}]")


def test_options_of_training_and_diagnosis(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned.diagnostics import diagnose, run
    from smeft_unbinned.estimators import TrainSettings, learning, tasks, train

    for options, values in (
        (learning.LearningOptions, learning.Learning),
        (run.MeasurementOptions, run.Measurement),
    ):
        assert options.__optional_keys__ == {f.name for f in fields(values)}
    settings, output = TrainSettings(), tmp_path / "model"
    calls: list[Callable[..., Any]] = [
        lambda **o: diagnose(None, None, **o),
        lambda **o: tasks.train_task(None, settings, 1, 2, output, **o),
        lambda **o: tasks.train_parts(None, settings, None, 2, output, **o),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="unexpected keyword argument 'toy'"):
            call(toy=1)
    with pytest.raises(InputError, match="'toy'"):
        train(None, toy=1)


def test_a_group_is_taken_out_of_the_options() -> None:
    options = {"pt_min": 3.0, "operators": (), "energy": 1e4, "scale": 100.0, "other": 1}
    taken = take(collision.Selection, options)
    assert taken.pt_min == 3.0
    assert taken.energy == 1e4
    assert taken.mass_range == (0.0, np.inf)
    assert options == {"other": 1}


def test_none_is_the_default_of_a_process() -> None:
    given = collision.Setup.of({"operators": None, "density": None, "tail": None}, vh.STANDARD)
    plain = collision.Setup.of({}, vh.STANDARD)
    assert given.operators == plain.operators == vh.DEFAULT
    assert given.density.name == plain.density.name
    one = PROCESSES["WH"].generate(3, seed=1, operators=None)
    assert one.operators == PROCESSES["WH"].DEFAULT
