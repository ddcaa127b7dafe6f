"""What a job writes: paths and files, and one file for each format."""
