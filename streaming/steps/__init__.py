"""The steps of a micro-batch, from records to answers; they run in Spark's workers."""
