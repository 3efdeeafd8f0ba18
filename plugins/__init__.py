"""Adapters of other fitters: one folder each, with a runcard that runs and a note on how."""
