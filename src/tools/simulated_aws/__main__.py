"""`python -m simulated_aws --port 5001`: the simulator over HTTP, on the time of the machine."""

from __future__ import annotations

import argparse
import threading

from simulated_aws.clock import VirtualClock, WallClock
from simulated_aws.forward import to_eventbridge
from simulated_aws.run import serve

LOOK_EVERY_SECONDS = 0.2


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="simulated_aws", description="A CodeDeploy that moves, over HTTP.")
    parser.add_argument("--port", type=int, default=5001, help="port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--virtual", action="store_true", help="time moves only with the command `advance`")
    parser.add_argument("--events-to", metavar="URL", help="endpoint of an EventBridge that is told of every change")
    given = parser.parse_args(arguments)
    clock = VirtualClock() if given.virtual else WallClock()
    with serve(given.port, clock, host=given.host) as server:
        print(f"CodeDeploy simulator: {server.url}", flush=True)
        if given.events_to:
            server.simulator.listen(to_eventbridge(given.events_to, server.simulator.region))
        try:
            while not threading.Event().wait(LOOK_EVERY_SECONDS):
                server.simulator.catch_up()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
