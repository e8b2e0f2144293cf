"""What ships, as a bill of materials, and whether its parts are current. Never ships."""
