"""CDOP: unit descriptions in the Carbon Data Open Protocol."""

from adapters.cdop.parse import ADAPTER

__all__ = ["ADAPTER"]
