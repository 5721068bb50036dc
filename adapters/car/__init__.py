"""Climate Action Reserve: issuance, retirement and cancellation exports."""

from adapters.car.parse import ADAPTER

__all__ = ["ADAPTER"]
