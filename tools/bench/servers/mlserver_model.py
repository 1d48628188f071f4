"""The work for MLServer: a raw endpoint beside its own protocol."""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors

import inference
from fastapi import Request, Response
from mlserver import MLModel
from mlserver.handlers import custom_handler


class Dot(MLModel):
    async def load(self):
        self.weights = inference.model_fn("")
        return True

    @custom_handler(rest_path="/invocations")
    async def invocations(self, request: Request) -> Response:
        row = inference.input_fn((await request.body()).decode(), "text/csv")
        answer = inference.output_fn(inference.predict_fn(row, self.weights), "application/json")
        return Response(answer, media_type="application/json")
