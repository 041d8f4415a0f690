"""What any query of ours needs of Spark: session, Kafka as source and sink, locks, its end."""
