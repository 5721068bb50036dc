"""Isometric: its issuance and retirement lists, and its documented Registry API, sandbox and live."""

from adapters.isometric.driver import SYSTEM
from adapters.isometric.parse import ADAPTER

__all__ = ["ADAPTER", "SYSTEM"]
