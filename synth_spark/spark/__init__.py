"""The only room that knows pyspark and Delta."""
