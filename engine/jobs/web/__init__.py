"""The HTTP process of a node: it translates HTTP into requests to the node's server, and has no ledger of its own."""
