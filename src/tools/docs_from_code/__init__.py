"""The blocks of the README and of docs/ that are made from the code, so that they cannot drift away from it."""
