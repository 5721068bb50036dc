"""What a network is made of outside the ledger: keys, certificates, configuration, folders, the secured transport.

What nodes do with each other once they are connected lives in `node`; what all must agree on lives in `keeling`.
"""
