"""The agreed electronic format (AEF) of Article 6.2: its five tables made from the ledger's events, read, checked.

Pure: events or bytes in, tables or bytes out. Nothing here asks a node or submits anything to the central platform.
"""
