"""Gold Standard: the issuance and retirement exports of its Impact Registry."""

from adapters.gold_standard.parse import ADAPTER

__all__ = ["ADAPTER"]
