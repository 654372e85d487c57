"""``energymarket load``: many virtual homes against a running system, and a report of it.

The parent (``conductor``) starts worker processes and talks with them through pipes (``wire``,
``crew``). A worker (``worker``) hosts fleets (``fleets``): each is the service that a home process
runs, on a line of the bus that the worker's fleets share.
"""
