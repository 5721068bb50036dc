"""The hub's part of `make demo`: the founding story, on a node of its own that is gone when it ends."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from cli.hub_rehearsal import describe_story
from cli.output import Grid


def tell_ghost() -> bool:
    """Play the story and print it row by row; whether ledger and registry agreed at every moment. A few seconds."""
    from hub.rehearsal.ghost import tell_story

    print("$ keeling hub simulate ghost")
    with tempfile.TemporaryDirectory(prefix="keeling-demo-") as folder:
        story = asyncio.run(tell_story(Path(folder)))
    for moment in story.moments:
        print(f"    +{moment.at_ms // 3_600_000:>2}:{moment.at_ms // 60_000 % 60:02d} h  {moment.happened}")
        print(f"             the registry's books        {moment.registry}")
        print(f"             one that believes itself    {moment.optimistic}")
        print(f"             one that waits              {moment.waiting}")
        print(f"             keeling                     {moment.ledger}")
    for section in describe_story(story).sections:
        if not isinstance(section, Grid):
            print(f"    {section}")
    return not story.ledger_ghosts
