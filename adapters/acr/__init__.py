"""American Carbon Registry: issuance, retirement and cancellation exports."""

from adapters.acr.parse import ADAPTER

__all__ = ["ADAPTER"]
