"""The inputs of a job: its files, and one module for each format."""
