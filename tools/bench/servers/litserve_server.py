"""The work for LitServe: ``python litserve_server.py PORT``; JSON around the floats."""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors
# ruff: noqa: ARG002 - the contracts pass what is not needed here

import sys

import inference
import litserve


class Dot(litserve.LitAPI):
    def setup(self, device):
        self.weights = inference.model_fn("")

    def decode_request(self, request):
        return inference.input_fn(request["data"], "text/csv")

    def predict(self, row):
        return inference.predict_fn(row, self.weights)

    def encode_response(self, score):
        return {"score": float(score)}


if __name__ == "__main__":
    server = litserve.LitServer(Dot(api_path="/invocations"), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
