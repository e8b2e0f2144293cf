"""The operator's command, `lastgood`: it reads the audit table and AWS, and asks the function to act."""
