"""India's carbon registry at Grid Controller of India: plant accounts, blocks for exchange sessions, banking."""

from adapters.icm.driver import SYSTEM

__all__ = ["SYSTEM"]
