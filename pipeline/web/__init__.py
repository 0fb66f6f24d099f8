"""What a ledger holds, over HTTP; read-only."""
