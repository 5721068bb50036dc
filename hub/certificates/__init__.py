"""Gathering certificates of ended units from a ledger. Their form and the check are in `keeling.certificate`."""
