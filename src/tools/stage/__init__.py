"""The stage that the demo and the tests share: the real application, wired to moto and the simulator in one process."""
