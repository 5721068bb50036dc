"""For all tests: no test fails because the machine was busy, and none takes another's examples."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("keeling", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("keeling")
