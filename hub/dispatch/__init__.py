"""The dispatcher: carries instructed holds to registries and their outcomes back to the ledger, each exactly once.

What to do next is decided in `decide` (pure) from what `sight` describes; `run` looks, does it, and looks again. The
ledger is the outbox: what this process remembers may be lost at any moment.
"""
