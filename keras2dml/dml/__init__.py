"""The DML function library, with one or a few functions per file, and DML's syntax."""
