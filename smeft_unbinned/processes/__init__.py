"""Processes with exact truth: events whose dependence on the Wilson coefficients is known in closed form."""
