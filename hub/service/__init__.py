"""The hub as a service: `group.toml` made into ledger client, adapters, dispatcher and inbound, with an HTTP interface.

It holds no truth. Its folder has cursors and documents; whoever deletes it loses time, and nothing else.
"""
