"""Puro.earth: MyPuro's documented write API and the Registry API for reading, sandbox and live."""

from adapters.puro.driver import SYSTEM

__all__ = ["SYSTEM"]
