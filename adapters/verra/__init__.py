"""Verra (VCS): the VCU export of its registry."""

from adapters.verra.parse import ADAPTER

__all__ = ["ADAPTER"]
