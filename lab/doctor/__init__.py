"""What is missing or in the way on this machine, one sentence each, with the mend."""
