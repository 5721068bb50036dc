"""Participants with their keys, and governed records with all their versions."""

from __future__ import annotations

from keeling.units import Purpose
from keeling.v1 import ledger_pb2 as pb
from node.core import tables as t
from node.core.records import Key
from node.reads.messages import convert_record
from node.reads.pages import open_page, read_rows
from node.reads.view import ReadState
from node.store.contract import Reads


def list_participants(view: Reads, request: pb.ListRequest) -> pb.ListParticipantsResponse:
    """Participants, shorter names first, each with all keys it ever had."""
    state = ReadState(view)
    page = open_page(state.height, request.page_size, request.page_token, "participants")
    rows, last = read_rows(state, t.PARTICIPANTS, [t.PARTICIPANTS.key()], page)
    keys: dict[str, list[tuple[bytes, Key]]] = {}
    for row_key, key in state.scan_prefix(t.KEYS):
        keys.setdefault(key.participant, []).append((t.KEYS.parts(row_key)[0], key))
    response = pb.ListParticipantsResponse(next_page_token=page.token(last), height=state.height)
    for row_key, member in rows:
        name = t.PARTICIPANTS.parts(row_key)[0]
        message = response.participants.add(
            participant=name,
            name=member.name,
            roles=member.roles,
            suspended=member.suspended,
            validator=member.validator,
        )
        for public, key in sorted(keys.get(name, []), key=lambda item: (item[1].since, item[0])):
            message.keys.add(
                key=public,
                person=key.person,
                purposes=Purpose(key.purposes),
                since_height=key.since,
                retired_height=key.retired,
            )
    return response


def list_records(view: Reads, request: pb.ListRequest) -> pb.ListRecordsResponse:
    """Governed records, shorter ids first, every version, oldest first. A page counts ids."""
    state = ReadState(view)
    page = open_page(state.height, request.page_size, request.page_token, "records")
    rows, last = read_rows(state, t.RECORDS, [t.RECORDS.key()], page)
    response = pb.ListRecordsResponse(next_page_token=page.token(last), height=state.height)
    for key, versions in rows:
        name = t.RECORDS.parts(key)[0]
        response.records.extend(convert_record(name, version) for version in versions)
    return response
