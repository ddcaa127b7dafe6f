"""What a job reads: the files, and one file for each format."""
