"""Importing a registry's export: plan what is news, hand it in, and report every row's fate.

    model    what is known, what a row's fate may be, what a plan holds
    shelf    ranges of one batch laid side by side
    plan     pure: rows and what the ledger knows in, observations and fates out
    packing  pure: plans in, operations in transactions of bounded size out
    lookup   asks the ledger what it knows of the batches of a file
    report   totals and the row-by-row report
    run      the whole of it, against a node

An import carries no transaction ids of its own making from run to run: it looks first and submits only news under
natural keys (batch names, serial numbers), so that stopping anywhere and running again ends in the same state.
"""
