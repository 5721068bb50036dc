"""The reading half of the Ledger service: functions from one frozen view of the store and a request to the answer.

They never see the writer's state, write nothing, and know no gRPC; `errors` says how they refuse. Pages and their
promises: `pages` and ledger.proto. What they read besides state: `node.archive` and `node.indexes`.
"""

from node.reads.accounts import get_account, list_accounts
from node.reads.article6 import get_authorization, get_party_years, list_authorizations
from node.reads.availability import get_availability
from node.reads.batches import get_batch, list_batches
from node.reads.find import find_lots
from node.reads.governance import get_governance, list_motions
from node.reads.holds import get_hold, list_holds
from node.reads.lots import list_lots
from node.reads.members import list_participants, list_records
from node.reads.questions import list_discrepancies, list_proposals
from node.reads.restrictions import get_restriction, list_restrictions
from node.reads.transactions import get_first_receipt, get_transaction
from node.reads.watch import read_events

__all__ = [
    "find_lots",
    "get_account",
    "get_authorization",
    "get_availability",
    "get_batch",
    "get_first_receipt",
    "get_governance",
    "get_hold",
    "get_party_years",
    "get_restriction",
    "get_transaction",
    "list_accounts",
    "list_authorizations",
    "list_batches",
    "list_discrepancies",
    "list_holds",
    "list_lots",
    "list_motions",
    "list_participants",
    "list_proposals",
    "list_records",
    "list_restrictions",
    "read_events",
]
