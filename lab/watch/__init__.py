"""The live view of a market in a terminal: what it shows, where it has it from, and its keys."""
