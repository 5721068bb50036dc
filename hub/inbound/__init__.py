"""What registries tell the hub by themselves: signed webhooks, signed HTTP, files, and their events polled by cursor.

`webhook`, `signed_http` and `signed_file` check who said it; `intake` makes of it what the ledger is told; `server`,
`polling` and `drop_folder` are the three doors. Nothing is kept here but where polling stopped.
"""
