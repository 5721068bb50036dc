"""Corresponding adjustments between the ledger and Article 6 registries: their recognitions in, our events out.

Adjustments themselves are booked by the ledger's rules, from actions alone; nothing here adds one.
"""
