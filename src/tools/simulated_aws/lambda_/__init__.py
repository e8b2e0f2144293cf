"""Lambda: functions with versions and aliases."""
