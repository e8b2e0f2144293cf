"""CloudFormation: stacks that release, and what they believe in."""
