"""The one command: sandboxes come up, say where, and go when told."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from adapters.sandbox.__main__ import main
from adapters.sandbox.catalogue import SANDBOXES


def test_sandboxes_come_up_and_go() -> None:
    process = subprocess.Popen([sys.executable, "-m", "adapters.sandbox"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for name in SANDBOXES:
            line = process.stdout.readline()
            found = re.match(rf"sandbox {name} at (http://\S+) \(not the real registry", line)
            assert found is not None, line
            with urllib.request.urlopen(f"{found[1]}/_admin/book") as answer:
                assert b'"holdings"' in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nowhere"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "no sandbox nowhere; there are " in said
    assert "puro" in said
