"""The rules of the ledger, pure: no clock, disk, network, randomness or logging. `apply` and `block` are the doors."""
