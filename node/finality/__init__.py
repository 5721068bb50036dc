"""Finality: when a validator votes, locks, reports and adopts, as a state machine without clock, disk or network.

`machine.Finality` takes inputs and returns outputs (both in `events`); `journal` says what a vote key has signed and so
may still sign; `tally` counts what others signed; `health` says why nothing is final. Executing entries, reading the
engine, moving bytes and writing them down belong to node.replica. Rules: architecture 4.5 to 4.9.
"""
