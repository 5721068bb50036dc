"""CAD Trust: the units of a CADT node, data model 2."""

from adapters.cadt.parse import ADAPTER

__all__ = ["ADAPTER"]
