"""What a ledger holds as tables that other programs read, and as a report with pictures."""
