"""Rehearsals: a real ledger, a hub and registries' sandboxes on one machine and one clock that is moved by hand.

For the story that `keeling hub simulate` tells and the proof that `keeling hub chaos` makes. Nothing of it is used by a
hub at work.
"""
