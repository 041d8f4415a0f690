"""The DML library, a file for each function or few, and what knows its syntax."""
