"""The outputs of a job: paths and files, and one module for each format."""
