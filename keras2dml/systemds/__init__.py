"""SystemDS on a Spark session: the JVM, its matrices, options and output."""
