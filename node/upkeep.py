"""What an operator should see to: its certificate's end, files that cannot be used, keys that the ledger does not name.

Told in `Status`, in metrics, and once per threshold in the log. Whether finality advances is in `node.health`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from network.certificates import ExpiryWarning, expiry_warning
from network.rekeying import describe_wrong_keys
from network.transport import TlsFiles


class Upkeep:
    """Looks after one node's TLS files and keys. `tell` is given each warning once, and again when it grows louder."""

    def __init__(
        self,
        participant: str,
        files: TlsFiles,
        clock: Callable[[], datetime],
        wrong_keys: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """`wrong_keys` says which of the node's keys are not those the ledger names for it, now."""
        self.wrong_keys = wrong_keys
        self._participant = participant
        self._files = files
        self._clock = clock
        self._told: set[tuple[datetime, int]] = set()  # ends of certificates with thresholds
        self._problems: list[str] = []  # those told

    @property
    def certificate_ends(self) -> datetime:
        """The end of the certificate in use, in UTC."""
        return self._files.current().certificate.not_valid_after_utc

    def find_warnings(self) -> list[str]:
        """Every warning that holds now."""
        expiry = self._find_expiry()
        return ([] if expiry is None else [expiry.text]) + self._find_problems()

    def tell(self, say: Callable[[str], None]) -> None:
        """Say what was not said before: at 30, 14 and 7 days and at the end of each certificate; each new problem."""
        expiry = self._find_expiry()
        if expiry is not None and (self.certificate_ends, expiry.threshold_days) not in self._told:
            self._told.add((self.certificate_ends, expiry.threshold_days))
            say(expiry.text)
        problems, before = self._find_problems(), self._problems
        self._problems = problems
        for problem in problems:
            if problem not in before:
                say(problem)

    def _find_problems(self) -> list[str]:
        wrong, problem = self.wrong_keys(), self._files.problem
        told = [] if problem is None else [problem]
        return [*told, ": ".join(describe_wrong_keys(self._participant, wrong))] if wrong else told

    def _find_expiry(self) -> ExpiryWarning | None:
        return expiry_warning(self._participant, self._files.current().certificate, self._clock())
