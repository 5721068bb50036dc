"""ART TREES: issuance, retirement and cancellation exports."""

from adapters.art.parse import ADAPTER

__all__ = ["ADAPTER"]
