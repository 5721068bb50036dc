"""One participant's node: pure core, store, ordering, finality, replica and the gRPC service around them."""
