"""The steps of a micro-batch, from records to their answers; they run in Spark's workers."""
