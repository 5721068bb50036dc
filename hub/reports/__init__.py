"""What is in a registry's export and what is wrong with it: one page for whoever owns the units.

    model     what a report is made from: rows with their fates, batches, disagreements
    covered   units counted once, however many disagreements are about them
    findings  what the owner should fix, ranked; one function for each kind of trouble
    summary   everything as plain facts: totals per class and grain, unseen, restricted, moved, findings
    html      the facts as one page that stands alone

Pure: reading files and asking the ledger is done by those who call this.
"""
