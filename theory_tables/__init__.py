"""Binned predictions in the theory and commondata formats of SMEFiT, and the command that makes them.

`theory/NAME.json` holds the prediction, `commondata/NAME.yaml` Asimov pseudo-data at the SM. Regenerate all
with

    python -m theory_tables.make
"""
