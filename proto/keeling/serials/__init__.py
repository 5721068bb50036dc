"""Serial schemes: registry text to numbered ranges and back, exactly. Pure and versioned.

What a batch or lot is, and who owns it, is not known here.
"""

from keeling.serials.catalogue import (
    CURRENT,
    SCHEMES,
    detect_scheme,
    find_scheme,
    parse,
    parse_segments,
    print_range,
)
from keeling.serials.model import (
    SERIAL_CHARS_MAX,
    Grain,
    NearMiss,
    SerialError,
    SerialFault,
    SerialRange,
)

__all__ = [
    "CURRENT",
    "SCHEMES",
    "SERIAL_CHARS_MAX",
    "Grain",
    "NearMiss",
    "SerialError",
    "SerialFault",
    "SerialRange",
    "detect_scheme",
    "find_scheme",
    "parse",
    "parse_segments",
    "print_range",
]
