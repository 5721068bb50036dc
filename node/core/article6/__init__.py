"""Article 6 of the Paris Agreement: authorizations, first transfers, corresponding adjustments. Tables for reports, and
their words, are not here: they are made from the events by `hub.aef`.
"""
