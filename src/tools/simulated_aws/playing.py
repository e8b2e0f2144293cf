"""Time as it passes in the simulator: moved on by hand, with every listener told at its moment."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulated_aws.scenes import Scenes


class Playing(Scenes):
    """What is due happens when its time comes."""

    def advance(self, seconds: float) -> None:
        """Move time on. Listeners are told on the way, each at its moment."""
        self._play_until(self.clock.now() + timedelta(seconds=seconds))

    def _play_until(self, until: datetime) -> None:
        self.catch_up()
        while self._play_next(until):
            pass
        self.clock.advance_to(until)

    def catch_up(self) -> None:
        """Do what is due on the clock, and tell the listeners. Needed if the clock is moved from outside."""
        with self._lock:
            self.engine.tick()
        self._deliver()

    def _play_next(self, until: datetime) -> bool:
        with self._lock:
            played = self.engine.play_next(until)
        self._deliver()
        return played

    def _deliver(self) -> None:
        # Not under the lock: a listener may call AWS from threads of its own.
        self.engine.events.deliver()

    def settle(self, deployment_id: str | None = None, limit_seconds: float = 200_000) -> None:
        """Move time on until a deployment (else every one) is over. Raises TimeoutError past the limit."""
        limit = self.clock.now() + timedelta(seconds=limit_seconds)
        self.catch_up()
        while self._going(deployment_id):
            if not self._play_next(limit):
                raise TimeoutError(f"{deployment_id or 'a deployment'} is not over after {limit_seconds} seconds")

    def _going(self, deployment_id: str | None) -> bool:
        if deployment_id:
            return not self.engine.deployment(deployment_id).terminal
        groups = [group for each in self.engine.applications.values() for group in each.groups.values()]
        services = self.engine.service_deployments.services.values()
        stacks = any(stack.going for stack in self.stacks.stacks.values())
        return stacks or any(group.active for group in groups) or any(service.active for service in services)

    def timing(self, application: str = "", group: str = "", *, config: str = "", **fields: float | None) -> None:
        """Change durations (fields of `Timing`) of a group, of a configuration, or of everything."""
        key = (application, group) if group else (config,) if config else ()
        self.engine.set_timing(key, **fields)
