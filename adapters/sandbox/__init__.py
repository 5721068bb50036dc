"""Servers that stand in for registries: real HTTP, own books, a clock that moves when told, faults on demand.

What all of them share is in `clock`, `faults`, `book`, `desk`, `notices` and `server`; one registry's way of speaking
is in the module of its name. They know neither hub nor ledger, and nothing presents them as the real thing.
"""
