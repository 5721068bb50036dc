"""Figures beside the limits of the machine they were measured on: `python -m bench`, or `make bench`.

Loads for a real node in its own process, and for what it is compared with. Nothing here is part of the ledger, and no
test looks at a time measured here. What each figure means is in docs/bench.md.
"""
