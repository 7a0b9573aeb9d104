"""Serves an `xgboost-model` by SageMaker's container contract.

`GET /ping` answers 200 once the model is loaded. `POST /invocations` takes text/csv: a row a line, no
header, no label, an empty cell is a missing value; it answers one score a line, in the same order.
"""

import math
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import xgboost

LARGEST = 6 * 1024 * 1024


def load(folder: str) -> xgboost.Booster:
    """The booster that `train.py` saved there."""
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray((Path(folder) / "xgboost-model").read_bytes()))
    return booster


def rows(body: bytes, columns: int) -> np.ndarray:
    """The rows of a request; ValueError says which one is wrong, and not what is in it."""
    table = []
    for number, line in enumerate(body.decode("utf-8").splitlines(), 1):
        cells = line.split(",")
        if len(cells) != columns:
            raise ValueError(f"row {number} has {len(cells)} columns, the model takes {columns}")
        try:
            table.append([float(cell) if cell.strip() else math.nan for cell in cells])
        except ValueError:
            raise ValueError(f"row {number} holds a cell that is no number") from None
    if not table:
        raise ValueError("the request holds no row")
    return np.array(table, dtype=np.float64)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    booster: xgboost.Booster

    def log_message(self, *_):
        """No line for each request."""

    def answer(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/csv; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, "")

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        if size > LARGEST:
            self.close_connection = True
            self.answer(413, "the request is larger than 6 MB")
            return
        body = self.rfile.read(size)
        kind = (self.headers.get("Content-Type") or "text/csv").split(";")[0].strip()
        if self.path != "/invocations":
            self.answer(404, "")
        elif kind != "text/csv":
            self.answer(415, f"Content type {kind} is not supported: send text/csv")
        else:
            try:
                table = rows(body, self.booster.num_features())
            except ValueError as why:
                self.answer(400, f"Unable to parse the rows: {why}")
                return
            scores = self.booster.predict(xgboost.DMatrix(table, missing=np.nan))
            self.answer(200, "".join(f"{float(score)!r}\n" for score in scores))


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self):
        link, address = super().get_request()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link, address


def main() -> None:
    Handler.booster = load(os.environ["SM_MODEL_DIR"])
    host = os.environ.get("SAGEMAKER_BIND_TO_HOST", "0.0.0.0")  # a container listens to all
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    Server((host, port), Handler).serve_forever()


if __name__ == "__main__":
    main()
