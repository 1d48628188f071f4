"""The work for BentoML: ``bentoml serve bentoml_service:Dot``."""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors

import bentoml
import inference


@bentoml.service(workers=1)
class Dot:
    def __init__(self):
        self.weights = inference.model_fn("")

    @bentoml.api(route="/invocations")
    def invocations(self, data: str) -> str:
        return inference.output_fn(
            inference.predict_fn(inference.input_fn(data, "text/csv"), self.weights), ""
        )
