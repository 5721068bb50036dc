"""Going on as the node's own program: nothing of `cli` may import `node`, and a running node needs nothing of `cli`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def hand_over(*arguments: str) -> NoReturn:
    """Become `python -m node` with these arguments, whose exit code is then ours."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "node", *arguments])
