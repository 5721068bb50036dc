"""I-REC (Evident): redemptions of electricity certificates by the watt hour, in a sandbox."""

from adapters.irec.driver import SYSTEM

__all__ = ["SYSTEM"]
