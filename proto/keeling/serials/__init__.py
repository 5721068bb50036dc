"""Serial schemes: registry text to numbered ranges and back, exactly. Pure and versioned.

What a batch or lot is, and who owns it, is not known here.
"""

from keeling.serials.article6 import parse_itmo_tolerant
from keeling.serials.catalogue import (
    CURRENT,
    SCHEMES,
    detect_scheme,
    find_scheme,
    parse,
    parse_fields,
    parse_form,
    parse_segments,
    parse_widest,
    print_label,
    print_range,
)
from keeling.serials.labelled import number_opaque
from keeling.serials.model import (
    SERIAL_CHARS_MAX,
    Grain,
    NearMiss,
    SerialError,
    SerialFault,
    SerialRange,
    Widest,
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
    "Widest",
    "detect_scheme",
    "find_scheme",
    "number_opaque",
    "parse",
    "parse_fields",
    "parse_form",
    "parse_itmo_tolerant",
    "parse_segments",
    "parse_widest",
    "print_label",
    "print_range",
]
