"""The reconciler: what a registry's books show of our accounts, laid beside the ledger, unit by unit.

`join` is interval arithmetic, `classes` says what a difference is, `rules` what is done about it, `books` reads both
sides, `run` puts them together, `report` tells. Nothing here is kept between two runs but the report itself.
"""
