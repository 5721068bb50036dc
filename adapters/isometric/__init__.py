"""Isometric: issuance and retirement lists."""

from adapters.isometric.parse import ADAPTER

__all__ = ["ADAPTER"]
