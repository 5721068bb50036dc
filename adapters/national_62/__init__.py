"""A Party's ITMO registry under Article 6.2: recognition on both sides, and a drop of reporting files."""

from adapters.national_62.driver import SYSTEM

__all__ = ["SYSTEM"]
