"""MadGraph's reweighting cards: points, names, values of the parameter card, and what cannot be read."""

from __future__ import annotations

import pytest
from lhe_writer import CARD

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import parse_reweight_card

TEXT = """
# a comment
change rwgt_dir rwgt
launch --rwgt_name=SM
  set SMEFT 5 0.0   # cHDD
  set SMEFT 7 0
launch --rwgt_name=both --rwgt_info=something
  set param_card smeft 5 1.0e-1
  set smeft 7 -0.2
launch
  set SMEFT 7 0.3
"""


def card(tmp_path, text=TEXT):
    path = tmp_path / "reweight_card.dat"
    path.write_text(text)
    return path


def test_points(tmp_path):
    got = parse_reweight_card(card(tmp_path))
    assert got == {
        "SM": {"smeft_5": 0.0, "smeft_7": 0.0},
        "both": {"smeft_5": 0.1, "smeft_7": -0.2},
        "rwgt_3": {"smeft_5": 0.0, "smeft_7": 0.3},
    }
    assert list(got) == ["SM", "both", "rwgt_3"]


def test_names_and_values_of_the_parameter_card(tmp_path):
    (tmp_path / "param_card.dat").write_text(CARD.replace("5 0.000000e+00 # chdd : 0.0", "5 0.4 # chdd"))
    got = parse_reweight_card(card(tmp_path), param_card=tmp_path / "param_card.dat")
    assert got["rwgt_3"] == {"cHD": 0.4, "cHW": 0.3}
    (tmp_path / "param_card.dat").write_text(CARD.replace("1.0e+03", "2.0e+03"))
    got = parse_reweight_card(card(tmp_path), param_card=tmp_path / "param_card.dat")
    assert got["both"] == {"cHD": pytest.approx(0.025), "cHW": pytest.approx(-0.05)}
    got = parse_reweight_card(card(tmp_path), names={"SMEFT 5": "a"})
    assert got["both"] == {"a": 0.1, "smeft_7": -0.2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "launches no weight"),
        ("launch\n", "at which coefficients it stands"),
        ("set SMEFT 5 0.1\n", "line 1: cannot read 'set SMEFT 5 0.1'"),
        ("launch\nput SMEFT 5 0.1\n", "line 2: cannot read 'put"),
        ("launch\nset SMEFT 5 much\n", "weight 'rwgt_1': cannot read"),
        ("launch\nset SMEFT 5 scan:[1,2]\n", "cannot read"),
        ("launch\nset SMEFT x 1\n", "cannot read"),
        ("launch\nset SMEFT 5 nan\n", "cannot read"),
        ("launch --rwgt_name=a\nlaunch --rwgt_name=a\n", "line 2: weight 'a' is launched twice"),
        ("launch\nset SMEFT 5 1\nlaunch\nset MASS 25 126\n", "changes a parameter of the Standard Model"),
    ],
)
def test_refused(tmp_path, text, says):
    with pytest.raises(InputError, match=rf"reweight_card\.dat.*{says}"):
        parse_reweight_card(card(tmp_path, text))


def test_names_refused(tmp_path):
    with pytest.raises(InputError, match=r"never sets 'SMEFT 6'.*Did you mean 'smeft_"):
        parse_reweight_card(card(tmp_path), names={"SMEFT 6": "a"})
    with pytest.raises(InputError, match="one name"):
        parse_reweight_card(card(tmp_path), names={"SMEFT 5": "a", "SMEFT 7": "a"})
    (tmp_path / "binary.dat").write_bytes(b"\xff\xfe\x00launch")
    with pytest.raises(InputError, match="not a text file"):
        parse_reweight_card(tmp_path / "binary.dat")
    with pytest.raises(InputError, match="no such file"):
        parse_reweight_card(tmp_path / "card.dat")
