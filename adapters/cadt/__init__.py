"""CAD Trust: the units of a CADT node, data model 2, as files and from a node that runs."""

from adapters.cadt.driver import SYSTEM
from adapters.cadt.parse import ADAPTER

__all__ = ["ADAPTER", "SYSTEM"]
