"""The DML library, one or a few functions in a file, and the module that knows its syntax."""
