"""SystemDS on a Spark session: its JVM, matrices, options and output."""
