"""What our queries share: the Spark session, Kafka as source and sink, locks, stopping."""
