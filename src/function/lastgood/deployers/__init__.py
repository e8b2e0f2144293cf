"""What deploys: one adapter per deployment controller, with its raw dictionaries inside."""
