"""What handlers in the wild do (facts B), on every stack that serves scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.handler_host.conftest import Serve

STACKS = ["scikit-learn", "xgboost", "pytorch", "inference", "huggingface"]
FUNCTION_SETS = {
    "all four": """
        def model_fn(model_dir): return "m"
        def input_fn(body, content_type): return f"i({body})"
        def predict_fn(data, model): return f"p({data},{model})"
        def output_fn(prediction, accept): return f"o({prediction})"
    """,
    "model and transform": """
        def model_fn(model_dir): return "m"
        def transform_fn(model, body, content_type, accept): return f"t({model},{body})"
    """,
    "three": """
        class Model:
            def predict(self, data, validate_features=True): return f"p({data})"
            __call__ = predict
        def model_fn(model_dir): return Model()
        def input_fn(body, content_type): return f"i({body})"
        def predict_fn(data, model): return model(data)
        def output_fn(prediction, accept): return f"o({prediction})"
    """,
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("functions", "answer"),
    [
        ("all four", "o(p(i(1),m))"),
        ("model and transform", "t(m,1)"),
        ("three", "o(p(i(1)))"),
    ],
)
def test_each_function_gets_what_the_one_before_returned(
    serve: Serve, stack: str, functions: str, answer: str
) -> None:
    assert serve(stack, FUNCTION_SETS[functions]).invoke("1").text == answer


@pytest.mark.parametrize(
    ("stack", "expected"),
    [("scikit-learn", [[2.0]]), ("inference", [[2]]), ("huggingface", [[2]])],
)
def test_model_and_predict_leave_decoding_and_encoding_to_the_container(
    serve: Serve, stack: str, expected: Any
) -> None:
    host = serve(
        stack,
        """
        import numpy as np
        def model_fn(model_dir): return 2
        def predict_fn(data, model): return np.asarray(data) * model
        """,
    )

    assert json.loads(host.invoke("[[1]]").text) == expected


@pytest.mark.parametrize("stack", STACKS)
def test_a_handler_that_swallows_its_error_returns_none(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        """
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            try:
                return undefined
            except Exception as error:
                print("caught", error)
        """,
    )
    reply = host.invoke()

    if stack in {"scikit-learn", "xgboost"}:
        assert reply.status == 500
    else:
        assert (reply.status, reply.text) == (200, "null")
    assert "caught name 'undefined' is not defined" in host.log


@pytest.mark.parametrize("stack", STACKS)
def test_a_handler_may_write_into_its_own_folder(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        """
        import os
        HERE = os.path.dirname(os.path.abspath(__file__))
        def model_fn(model_dir): return model_dir
        def transform_fn(model_dir, body, content_type, accept):
            for folder in (HERE, model_dir, "."):
                with open(os.path.join(folder, "last_request.json"), "w") as file:
                    file.write(body)
            return open("last_request.json").read()
        """,
    )

    assert host.invoke("[3]").text == "[3]"
    assert (host.model_dir / "code" / "last_request.json").read_text() == "[3]"


@pytest.mark.parametrize("stack", STACKS)
def test_a_body_of_any_kind_arrives_byte_for_byte(serve: Serve, stack: str) -> None:
    # the beginning of a torch.save()d file: a zip archive
    body = b"PK\x03\x04\x00\x00\x08\x08\xff\xfe\r\n\r\n\x80\x02"
    host = serve(
        stack,
        """
        import io
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            return io.BytesIO(body).getvalue()
        """,
    )

    assert host.invoke(body, "application/octet-stream").body == body


@pytest.mark.parametrize("stack", STACKS)
def test_a_logger_that_walks_a_fixed_number_of_stack_frames_finds_them(
    serve: Serve, stack: str
) -> None:
    host = serve(
        stack,
        """
        import sys
        def caller(depth):
            return sys._getframe(depth).f_code.co_name
        def model_fn(model_dir): return caller(6)
        def input_fn(body, content_type): return caller(8)
        def predict_fn(data, model): return f"{model}|{data}|{caller(8)}"
        def output_fn(prediction, accept): return prediction
        """,
    )

    assert host.invoke().status == 200


@pytest.mark.parametrize("stack", STACKS)
def test_global_state_lives_as_long_as_the_worker(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        """
        requests = 0
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            global requests
            requests += 1
            return str(requests)
        """,
    )

    assert [host.invoke().text for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize("stack", STACKS)
def test_megabytes_printed_neither_block_nor_get_lost(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        """
        import sys
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            for _ in range(40):
                print("x" * 99_999)
                print("y" * 99_999, file=sys.stderr)
            return "printed"
        """,
    )

    assert host.invoke().text == "printed"
    assert host.log.count("x" * 99_999) == 40
    assert host.log.count("y" * 99_999) == 40


@pytest.mark.parametrize("stack", STACKS)
def test_a_handler_that_closes_its_output_still_answers(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        """
        import os, sys
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            sys.stdout.close()
            sys.stderr.close()
            if body == "fail":
                os.close(2)
                raise ValueError("unheard")
            return "still here"
        """,
    )

    assert host.invoke("x").text == "still here"
    assert host.invoke("fail").status in {400, 500}
    assert host.invoke("x").text == "still here"


@pytest.mark.parametrize("stack", STACKS)
def test_logged_messages_show_from_info_on(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        """
        import logging
        logger = logging.getLogger(__name__)
        logging.info("while importing")
        def model_fn(model_dir):
            logger.info("while loading")
            logger.debug("too detailed")
        def transform_fn(model, body, content_type, accept):
            logger.info("while answering")
            return "x"
        """,
    )
    host.invoke()

    assert all(f"while {doing}" in host.log for doing in ("importing", "loading", "answering"))
    assert "too detailed" not in host.log


def test_the_scikit_learn_container_formats_log_records(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        "import logging\nlogging.getLogger('mine').info('hello')\ndef model_fn(d): return None\n",
    )

    assert " INFO - mine - hello" in host.log


def test_the_log_level_can_be_set(serve: Serve) -> None:
    host = serve(
        "inference",
        "import logging\nlogging.debug('detail')\ndef model_fn(d): return None\n",
        env={"SAGEMAKER_CONTAINER_LOG_LEVEL": "10"},
    )

    assert "detail" in host.log


def test_basic_config_of_a_handler_comes_too_late_as_in_aws_containers(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        "import logging\nlogging.basicConfig(format='MINE %(message)s', level=logging.DEBUG)\n"
        "logging.info('hello')\ndef model_fn(d): return None\n",
    )

    assert "MINE" not in host.log
    assert " INFO - root - hello" in host.log


@pytest.mark.parametrize("stack", STACKS)
def test_a_handler_may_start_threads_and_processes(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        """
        import multiprocessing, subprocess, sys, threading
        def model_fn(model_dir): return None
        def work(queue): queue.put("process")
        def transform_fn(model, body, content_type, accept):
            done = []
            thread = threading.Thread(target=done.append, args=("thread",))
            thread.start(); thread.join()
            queue = multiprocessing.get_context("fork").SimpleQueue()
            process = multiprocessing.get_context("fork").Process(target=work, args=(queue,))
            process.start(); done.append(queue.get()); process.join()
            program = [sys.executable, "-c", "print('program')"]
            done.append(subprocess.check_output(program, text=True).strip())
            return " ".join(done)
        """,
    )

    assert host.invoke().text == "thread process program"


def test_a_handler_may_spawn_processes(serve: Serve) -> None:
    host = serve(
        "inference",
        """
        import helper, multiprocessing
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            context = multiprocessing.get_context("spawn")
            queue = context.SimpleQueue()
            process = context.Process(target=helper.work, args=(queue,))
            process.start(); process.join()
            return queue.get() if process.exitcode == 0 else "it failed"
        """,
        files={"code/helper.py": "def work(queue): queue.put('done')"},
    )

    assert host.invoke().text == "done"


def test_a_handler_may_use_signals_in_the_main_thread(serve: Serve) -> None:
    host = serve(
        "inference",
        """
        import signal
        def model_fn(model_dir): signal.signal(signal.SIGALRM, lambda *_: None)
        def transform_fn(model, body, content_type, accept): return "x"
        """,
    )

    assert host.invoke().text == "x"
