"""The work for KServe: ``python kserve_server.py --http_port PORT``; JSON around the floats."""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors
# ruff: noqa: ARG002 - the contracts pass what is not needed here

import inference
import kserve


class Dot(kserve.Model):
    def __init__(self):
        super().__init__("dot")
        self.weights = inference.model_fn("")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        row = inference.input_fn(payload["instances"][0], "text/csv")
        return {"predictions": [float(inference.predict_fn(row, self.weights))]}


kserve.ModelServer(enable_grpc=False).start([Dot()])
