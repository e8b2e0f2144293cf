"""What people run beside the function: the demo, and the blocks of the README that are made from the code."""
