"""The command line, with the embedded Kafka, the demo, reconcile and doctor."""
