"""Network governance: who validates, under which policy and rules, what the electorate decides, and snapshots of state.

Participants and their people's keys are in `node.core.members`; what is here changes who is believed.
"""
