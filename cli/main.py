"""The `keeling` command: every noun's commands under one name. What they do lives in the module of the noun.

Nothing heavy is imported here, so that help answers at once: gRPC, protobuf and keys load when a command needs them.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import typer

from cli import (
    attachment,
    available,
    batch,
    cash,
    claims,
    discrepancy,
    endings,
    events,
    genesis,
    hold,
    hub,
    imports,
    issue,
    key,
    log,
    lot,
    marks,
    motion,
    network,
    news,
    node,
    participant,
    policy,
    project,
    proposal,
    record,
    runs,
    status,
    transfer,
    tx,
)

HELP = """A ledger for carbon units: every unit has one owner and one state, and anybody can check it offline.

\b
Begin:
  keeling init natreg --name "National registry"   make a node, its keys and its network
  keeling node run natreg                          run it (in another terminal)
  keeling status                                   is it there, and is finality advancing?
  keeling import export.csv --registry verra       load a registry's public export

\b
Then look, and trade:
  keeling batch list        keeling lot find SERIAL        keeling available
  keeling account open A    keeling transfer 500 --from A --to B    keeling retire 10 --from B

Every command explains itself with --help and prints one JSON document with --json. Commands that change something
can be tried with --dry-run, and written to a file with --build to be signed by several people (keeling tx).

\b
Exit codes: 0 done, 1 refused by a rule, 2 usage, 3 not found, 4 verification failed, 5 not permitted,
69 node not reachable (nothing was sent), 75 outcome unknown (ask: keeling tx get ID).
"""


def build_app() -> typer.Typer:
    """The whole program, for `main` and for tests."""
    from cli.article6 import adjust_app, aef_app, authorize_app
    from cli.audit import audit_app

    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in (genesis, status, available, issue, transfer, endings, marks, news, imports, events, policy):
        app.add_typer(module.app)
    app.add_typer(hold.ending)
    groups = {
        "node": node,
        "network": network,
        "hub": hub,
        "account": claims,
        "participant": participant,
        "motion": motion,
        "key": key,
        "record": record,
    }
    groups |= {"proposal": proposal, "discrepancy": discrepancy, "run": runs}
    groups |= {"project": project, "batch": batch, "lot": lot, "hold": hold, "cash": cash, "tx": tx, "log": log}
    groups["attachment"] = attachment
    for name, module in groups.items():
        app.add_typer(module.app, name=name)
    app.add_typer(audit_app, name="audit")
    for name, group in (("authorize", authorize_app), ("adjust", adjust_app), ("aef", aef_app)):
        app.add_typer(group, name=name)
    return app


def main() -> None:
    """Entry point of the `keeling` script."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a narrow terminal must not stop a command
    build_app()(prog_name="keeling")


if __name__ == "__main__":
    main()
