"""How bad a simulated run is: drawn once from its seed, and calm again when the network is to heal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True)
class Weather:
    """Chances are per event; times are virtual seconds."""

    loss: float
    duplicates: float
    delay_s: float
    """Longest time a message takes; shorter ones overtake it."""
    partitions: float
    """Chance, once a second, that the network falls apart or comes together again."""
    crashes: float
    """Chance, at each commit of a node, that it dies before or after it took effect."""
    pauses: float
    """Chance, once a second and node, that it stands still for a while."""
    clock_skew_ms: int
    """Clocks of nodes are this far apart at most."""
    clock_jumps: float
    """Chance, once a second and node, that its clock jumps."""
    engine_delay_s: float
    engine_lies: float
    """Chance that a reader is shown another entry at a position than is there."""
    engine_losses: float
    """Chance, once a second, that the engine loses its newest entries, or all."""
    engine_outages: float
    unknown_appends: float
    restores: bool
    """One node comes back from an old backup, where the other honest ones are still a quorum."""
    liar: bool
    """One of the validators lies, if there are four or more."""

    @staticmethod
    def draw(random: Random) -> Weather:
        """Most runs have a few troubles, some all of them."""

        def sometimes(*values: float) -> float:
            return random.choice([0.0, 0.0, *values])

        return Weather(
            loss=sometimes(0.05, 0.25),
            duplicates=sometimes(0.2),
            delay_s=random.choice([0.005, 0.05, 0.4]),
            partitions=sometimes(0.1, 0.3),
            crashes=sometimes(0.002, 0.01, 0.03),
            pauses=sometimes(0.05),
            clock_skew_ms=random.choice([0, 50, 5_000]),
            clock_jumps=sometimes(0.02),
            engine_delay_s=random.choice([0.002, 0.05]),
            engine_lies=sometimes(0.02, 0.2),
            engine_losses=sometimes(0.05),
            engine_outages=sometimes(0.05),
            unknown_appends=sometimes(0.1),
            restores=random.random() < 0.2,
            liar=random.random() < 0.5,
        )

    def calm(self) -> Weather:
        """The same sky without trouble; a liar goes on lying, and clocks stay as wrong as they are."""
        return replace(
            self,
            loss=0.0,
            duplicates=0.0,
            delay_s=0.005,
            partitions=0.0,
            crashes=0.0,
            pauses=0.0,
            clock_jumps=0.0,
            engine_delay_s=0.002,
            engine_lies=0.0,
            engine_losses=0.0,
            engine_outages=0.0,
            unknown_appends=0.0,
        )


CALM = Weather(0, 0, 0.005, 0, 0, 0, 0, 0, 0.002, 0, 0, 0, 0, False, False)
