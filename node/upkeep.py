"""What an operator should see to before it stops the node's links: its certificate's end, files that cannot be used.

Told in `Status`, in metrics, and once per threshold in the log. Whether finality advances is in `node.health`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from network.certificates import ExpiryWarning, expiry_warning
from network.transport import TlsFiles


class Upkeep:
    """Looks after one node's TLS files. `tell` is given each warning once, and again when it grows louder."""

    def __init__(self, participant: str, files: TlsFiles, clock: Callable[[], datetime]) -> None:
        self._participant = participant
        self._files = files
        self._clock = clock
        self._told: set[tuple[object, int]] = set()

    @property
    def certificate_ends(self) -> datetime:
        """The end of the certificate in use, in UTC."""
        return self._files.current().certificate.not_valid_after_utc

    def find_warnings(self) -> list[str]:
        """Every warning that holds now."""
        expiry = self._find_expiry()
        problem = self._files.problem
        return ([] if expiry is None else [expiry.text]) + ([] if problem is None else [problem])

    def tell(self, say: Callable[[str], None]) -> None:
        """Say what was not said before: at 30, 14 and 7 days and at the end of each certificate; each new problem."""
        expiry = self._find_expiry()
        if expiry is not None:
            self._say_once((self.certificate_ends, expiry.threshold_days), expiry.text, say)
        problem = self._files.problem
        if problem is not None:
            self._say_once((problem, 0), problem, say)

    def _say_once(self, what: tuple[object, int], text: str, say: Callable[[str], None]) -> None:
        if what not in self._told:
            self._told.add(what)
            say(text)

    def _find_expiry(self) -> ExpiryWarning | None:
        return expiry_warning(self._participant, self._files.current().certificate, self._clock())
