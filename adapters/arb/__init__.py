"""California Air Resources Board: the table of issued offset credits."""

from adapters.arb.parse import ADAPTER

__all__ = ["ADAPTER"]
