"""What a dishonest validator says to the others: `python vote_twice.py NODE-FOLDER PEER`.

With the folder's own vote key it votes for two different blocks at one height, and tells both to the peer. Used by
`make demo` to show that the peer keeps both votes, which together convince anybody.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grpc

from keeling.genesis import parse_genesis
from keeling.policy import hash_policy
from keeling.v1 import ledger_pb2, ledger_pb2_grpc, peers_pb2, peers_pb2_grpc
from keeling.votes import SIGNED_VOTE, Step, Vote, sign_vote
from network.certificates import encode_public_key
from network.config import load_config
from network.contacts import with_founders
from network.keys import Role, load_key_file, read_passphrase
from network.transport import Destination, TlsFiles, open_channel

WAIT_S = 10.0
VERSION = 1


def main(folder: Path, peer: str) -> None:
    config = load_config(folder / "node.toml")
    genesis = parse_genesis(config.genesis.read_bytes())
    config = with_founders(config, genesis)
    key = load_key_file(config.keys.vote, role=Role.VOTE, passphrase=read_passphrase())
    tls = TlsFiles(config.tls.key, config.tls.certificate, read_passphrase()).current()
    address = next(each.address for each in config.peers if each.participant == peer)
    trust = config.trust(encode_public_key(tls.key))
    with open_channel(Destination(address, peer, trust, tls)) as channel:
        status = ledger_pb2_grpc.LedgerStub(channel).GetStatus(ledger_pb2.GetStatusRequest(), timeout=WAIT_S)
        height = status.height + 2
        first = Vote(genesis.network, hash_policy(genesis.policy), 0, height, 100, b"A" * 32, b"E" * 32, Step.VOTE)
        second = first._replace(root=b"B" * 32)
        messages = [
            peers_pb2.PeerMessage(
                hello=peers_pb2.Hello(
                    network=genesis.network, oldest_version=VERSION, newest_version=VERSION, release="a liar's own"
                )
            ),
            *(
                peers_pb2.PeerMessage(vote=SIGNED_VOTE.encode(sign_vote(vote, key.public_key, key.sign)))
                for vote in (first, second)
            ),
        ]
        _say(channel, messages)
    print(f"{config.participant} voted for two blocks at height {height}, and told {peer} of both")


def _say(channel: grpc.Channel, messages: list[peers_pb2.PeerMessage]) -> None:
    """Say everything, hang up, and listen until the peer has noticed."""
    try:
        for _ in peers_pb2_grpc.PeersStub(channel).Exchange(iter(messages), timeout=WAIT_S):
            pass
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
