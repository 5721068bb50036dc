"""The UK Emissions Trading Registry: proposals, second approval, working-time delays; sandbox alone."""

from adapters.uk_ets.driver import SYSTEM

__all__ = ["SYSTEM"]
