"""Gold Standard: the exports of its Impact Registry, its public list live, and an assumed account interface."""

from adapters.gold_standard.driver import SYSTEM
from adapters.gold_standard.parse import ADAPTER

__all__ = ["ADAPTER", "SYSTEM"]
