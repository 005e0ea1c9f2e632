"""The run of the races on Microsoft Agent Framework, with its checkpoints in files.

As its documentation has it: `ctx.request_info` asks, `run(responses={request_id: ...}, checkpoint_id=...)` answers
from the latest checkpoint. A button carries the run's folder and the request's id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Never

import agent_framework as af

from tests.bench.clicks import Button, Decided


class Ship(af.Executor):
    """Ships to staging if somebody approves, then to production if somebody approves that."""

    def __init__(self, decided: Decided) -> None:
        super().__init__(id="ship")
        self._decided = decided

    @af.handler
    async def begin(self, version: str, ctx: af.WorkflowContext[Never, str]) -> None:
        ctx.set_state("version", version)
        await ctx.request_info("staging? (approve/reject)", str)

    @af.response_handler
    async def decide(self, question: str, response: str, ctx: af.WorkflowContext[Never, str]) -> None:
        stage = question.partition("?")[0]
        self._decided(ctx.get_state("version"), stage, response)
        if response == "approve" and stage == "staging":
            await ctx.request_info("production? (approve/reject)", str)
        else:
            ctx.set_state("result", f"{stage}: {response}")
            await ctx.yield_output(f"{stage}: {response}")


class Process:
    """Workflows of its own, since each has one run at a time, and a folder that it shares."""

    def __init__(self, folder: Path, decided: Decided) -> None:
        self._folder = folder
        self._decided = decided

    def _workflow(self) -> af.Workflow:
        start = Ship(self._decided)
        return af.WorkflowBuilder(name="ship", start_executor=start, output_from=[start]).build()

    def _storage(self, run_id: str) -> af.FileCheckpointStorage:
        return af.FileCheckpointStorage(self._folder / run_id)

    async def begin(self, version: str) -> Button:
        found = await self._workflow().run(version, checkpoint_storage=self._storage(version))
        return version, found.get_request_info_events()[0].request_id

    async def click(self, button: Button, response: str, click_id: str) -> bool:
        run_id, request_id = button
        storage = self._storage(run_id)
        latest = await storage.get_latest(workflow_name="ship")
        assert latest is not None
        if request_id not in latest.pending_request_info_events:
            return False  # it was answered before
        await self._workflow().run(
            responses={request_id: response}, checkpoint_id=latest.checkpoint_id, checkpoint_storage=storage
        )
        return True

    async def stands(self, button: Button) -> str:
        latest = await self._storage(button[0]).get_latest(workflow_name="ship")
        assert latest is not None
        asked = [str(event.data) for event in latest.pending_request_info_events.values()]
        return asked[0] if asked else str(latest.state["result"])

    async def close(self) -> None:
        """It holds nothing open."""
