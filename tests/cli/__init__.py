"""The command line, a file for each subject; test_cli.py has the jobs of `cossign presign`."""
