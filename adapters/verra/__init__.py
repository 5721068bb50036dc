"""Verra (VCS): the VCU export of its registry, and the exchange through a desk and public rows."""

from adapters.verra.driver import SYSTEM
from adapters.verra.parse import ADAPTER

__all__ = ["ADAPTER", "SYSTEM"]
