"""The registries the UNFCCC keeps: the Article 6.4 mechanism registry with its link to the international registry."""

from adapters.unfccc.driver import SYSTEM

__all__ = ["SYSTEM"]
