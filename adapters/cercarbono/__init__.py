"""Cercarbono (EcoRegistry): issuance and retirement lists."""

from adapters.cercarbono.parse import ADAPTER

__all__ = ["ADAPTER"]
