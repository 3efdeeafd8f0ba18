"""Unbinned datasets in SMEFiT 4 (arXiv:2302.06660), as external chi2 of its runcard. See README.md here."""
