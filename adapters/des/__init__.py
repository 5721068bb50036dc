"""The exchange of messages between registries after the Kyoto Data Exchange Standards, shared by those who follow it.

A message is accepted or not; what was decided of the transaction in it is another message. No registry is described
here: which codes, accounts and actions one has is in its own folder.
"""
