"""How nodes of one network talk to each other: what is said (`contract`), and over what (the modules beside it)."""
