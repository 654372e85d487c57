"""The message bus: the port that services see, and what carries it.

``port``    what a service may do with a bus, and what it hears from it
``memory``  the bus inside one process (``memory_broker``, ``memory_queue``, ``routing``)
``rabbit``  the bus on RabbitMQ; the only file with pika. ``threaded`` is the half that the owner
            calls; ``amqp_session``, ``amqp_tags``, ``amqp_topology`` and ``broker_trouble`` hold
            what can be said without a driver
"""
