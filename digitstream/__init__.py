"""The front door: command line, embedded Kafka, the demo, reconcile, doctor."""
