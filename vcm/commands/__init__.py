"""What the commands of the command line do; vcm/cli.py says what they take."""
