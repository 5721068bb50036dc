"""Writes tests/vectors/attachments.json: `python -m tests.keeling.attachment_vectors`, for other implementations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keeling.attachment import seal_attachment
from keeling.disclosure import Disclosure, Field, compute_digest, encode_disclosure, show_fields, tell_excerpt
from keeling.ed25519 import public_key

VECTORS = Path(__file__).parents[1] / "vectors" / "attachments.json"
ABOUT = (
    "Disclosures with encoding, digest and an excerpt; each attachment opens with each of the Ed25519 seeds under "
    "`opens` to that disclosure, with those under `refuses` to nothing; no byte may change. Bytes in hex."
)
CASES: tuple[tuple[str, bytes, tuple[Field, ...], tuple[str, ...]], ...] = (
    ("one name", b"\x11" * 32, (Field("beneficiary", "Acme Ltd"),), ("beneficiary",)),
    (
        "name but not price",
        bytes(range(32)),
        (
            Field("beneficiary", "Société Générale d’Énergie <Éole> & Cie"),
            Field("country", "FR"),
            Field("purpose", "scope 2, 2025"),
            Field("price", "12.50 EUR"),
            Field("mrv_report", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        ),
        ("beneficiary", "country"),
    ),
    ("nothing shown", b"\xff" * 32, (Field("beneficiary", "東京電力"), Field("price", "1")), ()),
)
SEEDS = tuple(bytes([n]) * 32 for n in range(1, 5))


def _describe(number: int, name: str, salt: bytes, fields: tuple[Field, ...], shown: tuple[str, ...]) -> dict[str, Any]:
    disclosure = Disclosure(salt, fields)
    opens, randomness = SEEDS[: number + 1], bytes([0x40 + number]) * 32 + bytes([0x50 + number]) * 32
    sealed = seal_attachment(disclosure, [public_key(seed) for seed in opens], randomness)
    return {
        "name": name,
        "salt": salt.hex(),
        "fields": [[field.name, field.value] for field in fields],
        "encoding": encode_disclosure(disclosure).hex(),
        "digest": compute_digest(disclosure).hex(),
        "shown": list(shown),
        "excerpt": tell_excerpt(show_fields(disclosure, shown)),
        "randomness": randomness.hex(),
        "attachment": sealed.hex(),
        "opens": [seed.hex() for seed in opens],
        "refuses": [seed.hex() for seed in SEEDS[number + 1 :]],
    }


def make_vectors() -> dict[str, Any]:
    """What the file says."""
    return {"about": ABOUT, "disclosures": [_describe(number, *case) for number, case in enumerate(CASES)]}


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make_vectors(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
