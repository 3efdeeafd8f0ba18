"""init writes cards that validate and fit; validate says what a card would fit, and all that is missing."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from smeft_unbinned import InputError, Likelihood, Runcard
from smeft_unbinned.card_template import _rounded, template
from smeft_unbinned.cli import main
from smeft_unbinned.testing import toy_dataset


def run(*arguments: object) -> click.testing.Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_card_without_datasets_is_checked_and_fitted(tmp_path: Path) -> None:
    card = tmp_path / "zh.yaml"
    assert run("init", card, "--seed", 7).exit_code == 0
    assert Runcard.load(card).seed == 7
    shown = run("validate", card)
    assert shown.exit_code == 0
    assert "can be fitted" in shown.output
    assert "OpqMi" in shown.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["zh.yaml"]
    assert run("fit", card, "--level", 0.9).exit_code in (0, 1)


def test_every_key_of_the_card_is_known_and_explained(tmp_path: Path) -> None:
    text = template(tmp_path)
    for line in text.splitlines():
        assert len(line) <= 110
    keys = [key for key in yaml.safe_load(text) if key not in ("datasets", "coefficients")]
    assert {"basis", "use_quad", "use_t0", "use_theory_covmat", "nlive", "frac_remain", "seed"} <= set(keys)


def test_ranges_are_about_ten_errors_of_each_alone(tmp_path: Path) -> None:
    dataset = toy_dataset(("cHW", "cHq3"), "warsaw", events=500)
    dataset.save(tmp_path / "a b: c.dataset")
    done = run("init", tmp_path / "card.yaml", "--dataset", tmp_path / "a b: c.dataset", "--basis", "warsaw")
    assert done.exit_code == 0
    card = Runcard.load(tmp_path / "card.yaml")
    errors = np.sqrt(2 / np.diag(Likelihood([dataset]).hessian(np.zeros(2))))
    for name, error in zip(dataset.operators, errors, strict=True):
        lower, upper = card.bounds[name]
        assert lower == -upper
        assert 10 * error <= upper <= 25 * error


@pytest.mark.parametrize(("x", "expected"), [(0.11, 0.2), (1.0, 1.0), (2.1, 5.0), (5.5, 10.0), (3e4, 1000.0)])
def test_ranges_have_one_digit(x: float, expected: float) -> None:
    assert _rounded(x) == pytest.approx(expected)


def test_a_card_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text("mine", encoding="utf-8")
    done = run("init", tmp_path / "card.yaml")
    assert done.exit_code == 2
    assert "is there already" in done.output
    assert (tmp_path / "card.yaml").read_text(encoding="utf-8") == "mine"
    assert run("init", tmp_path / "card.yaml", "--force").exit_code == 0


def test_a_basis_without_the_coefficients_is_refused(tmp_path: Path) -> None:
    toy_dataset(("aaa", "bbb"), "unknown").save(tmp_path / "toy.dataset")
    with pytest.raises(InputError, match="basis"):
        template(tmp_path, [tmp_path / "toy.dataset"])


def test_validate_shows_fixed_and_dependent_coefficients(tmp_path: Path) -> None:
    toy_dataset(("cHW", "cHq3", "cHu"), "warsaw").with_luminosity(0.02).save(tmp_path / "toy.dataset")
    content = {
        "basis": "warsaw",
        "datasets": [{"name": "toy", "unbinned": "toy.dataset"}],
        "coefficients": {
            "cHW": {"min": -1, "max": 2},
            "cHq3": {"constrain": True, "value": 0.25},
            "cHu": {"constrain": [{"cHW": 0.5}]},
        },
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    shown = run("validate", tmp_path / "card.yaml").output
    for part in ("events", "200", "-1 to 2", "fixed", "0.25", "follows others", "luminosity", "0 +- 1"):
        assert part in shown


def test_all_that_is_missing_is_listed(tmp_path: Path) -> None:
    content = {
        "datasets": [
            "no_such_table",
            {"name": "a", "unbinned": "a.dataset"},
            {"name": "b", "poisson": "b.dataset"},
        ],
        "coefficients": {"OpW": None},
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    done = run("validate", tmp_path / "card.yaml")
    assert done.exit_code == 2
    for part in ("no_such_table", "a.dataset", "b.dataset"):
        assert part in done.output


def test_inspect_shows_results_and_sends_cards_to_validate(tmp_path: Path) -> None:
    card = tmp_path / "card.yaml"
    toy_dataset(("cHW", "cHq3"), "warsaw").save(tmp_path / "toy.dataset")
    assert run("init", card, "--dataset", tmp_path / "toy.dataset", "--basis", "warsaw").exit_code == 0
    assert "validate" in run("inspect", card).output
    assert run("fit", card).exit_code == 0
    shown = run("inspect", tmp_path / "results" / "card" / "fit_result.json")
    assert shown.exit_code == 0
    assert "cHq3" in shown.output
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    assert run("inspect", tmp_path / "bad.json").exit_code == 2
