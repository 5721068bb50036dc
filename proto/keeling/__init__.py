"""What two parties must agree on byte for byte: formats, proofs, votes, serial schemes, the bundle verifier.

Nothing here knows a node, a disk, a clock or a network; everything may be imported by an auditor who trusts nobody.
"""
