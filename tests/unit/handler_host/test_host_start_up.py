"""How a worker starts: arguments, the entry point, its environment, and what stops it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.handler_host.conftest import Hosts, Serve

STACKS = ["scikit-learn", "xgboost", "pytorch", "inference", "huggingface"]
HANDLER_HOST = Path(__file__).parents[3] / "local_runtime" / "handler_host"

# answers the str() of what model_fn returned
TELL = """
    def model_fn(model_dir): return {value}
    def input_fn(body, content_type): return body
    def predict_fn(data, model): return str(model)
    def output_fn(prediction, accept): return prediction
"""


def telling(value: str, before: str = "") -> str:
    return before + TELL.format(value=value)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--socket is missing"),
        (["--socket"], "--socket needs a value"),
        (["--verbose"], "unknown argument --verbose"),
        (
            ["--socket", "/" + "s" * 107, "--stack", "inference", "--model-dir", "/"],
            "--socket may have 107 bytes, the kernel's limit, got /sss",
        ),
        (
            ["--socket", "s", "--stack", "mxnet", "--model-dir", "/"],
            f"--stack must be one of {', '.join(STACKS)}, got mxnet",
        ),
        (
            ["--socket", "s", "--stack", "inference", "--model-dir", "/nowhere"],
            "--model-dir must be a folder, got /nowhere",
        ),
        (
            ["--socket", "s", "--stack", "xgboost", "--model-dir", "/", "--lifeline-fd", "-1"],
            "--lifeline-fd must be a descriptor's number, got -1",
        ),
    ],
)
def test_wrong_arguments_are_named_and_exit_with_2(arguments: list[str], complaint: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(HANDLER_HOST), *arguments], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "usage:" in ended.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_the_socket_exists_only_after_the_model_is_loaded(hosts: Hosts, stack: str) -> None:
    gate = hosts.folder / "gate"
    os.mkfifo(gate)
    waiting = telling(f"open({str(gate)!r}).read()")
    host = hosts.start(stack, waiting)

    with gate.open("w") as open_gate:  # opens when model_fn reads from the other end
        assert not Path(host.socket_path).exists()
        open_gate.write("loaded")

    hosts.wait(host)
    assert host.invoke().text == "loaded"


@pytest.mark.parametrize("stack", STACKS)
def test_a_missing_model_fn_names_the_file_and_the_function(refused: Serve, stack: str) -> None:
    host = refused(stack, "def predict_fn(data, model): return 1")

    assert f"{host.model_dir}/code/inference.py does not define model_fn" in host.log
    assert "Traceback" not in host.log


@pytest.mark.parametrize("stack", STACKS)
def test_a_handler_that_fails_to_import_shows_its_traceback(refused: Serve, stack: str) -> None:
    host = refused(stack, "x = 1\nraise OSError('the vocabulary is missing')\n")

    assert "inference.py" in host.log
    assert "line 2" in host.log
    assert host.log.rstrip().endswith("OSError: the vocabulary is missing")


@pytest.mark.parametrize("stack", STACKS)
def test_a_model_fn_that_raises_shows_its_traceback(refused: Serve, stack: str) -> None:
    host = refused(stack, "def model_fn(model_dir): raise ValueError('wrong version')")

    assert "in model_fn" in host.log
    assert host.log.rstrip().endswith("ValueError: wrong version")


@pytest.mark.parametrize("stack", STACKS)
def test_a_syntax_error_names_file_and_line(refused: Serve, stack: str) -> None:
    host = refused(stack, "def model_fn(model_dir)\n    return 1\n")

    assert "code/inference.py" in host.log
    assert "SyntaxError" in host.log


@pytest.mark.parametrize("where", ["import", "model_fn"])
def test_a_handler_that_exits_while_it_is_loaded_never_serves(refused: Serve, where: str) -> None:
    exits = (
        "import sys\nsys.exit(0)" if where == "import" else "def model_fn(d): raise SystemExit(0)"
    )

    assert "ended the process while it was loaded (exit code 0)" in refused("inference", exits).log


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("beside", ["input_fn", "predict_fn", "output_fn"])
def test_transform_fn_beside_another_function_is_refused(
    refused: Serve, stack: str, beside: str
) -> None:
    host = refused(
        stack,
        f"def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return b\n"
        f"def {beside}(a, b): return a\n",
    )

    assert "cannot use transform_fn implementation in conjunction with" in host.log
    assert f"got {beside}" in host.log


def test_model_fn_runs_once_however_many_requests_come(serve: Serve) -> None:
    host = serve("inference", telling("calls.append(1) or len(calls)", "\n    calls = []"))

    assert [host.invoke().text for _ in range(3)] == ["1", "1", "1"]


def test_hooks_run_around_model_fn_in_order(serve: Serve) -> None:
    host = serve(
        "inference",
        """
        order = []
        def pre_model_fn(model_dir): order.append("pre")
        def model_fn(model_dir): order.append("model"); return order
        def model_warmup_fn(model_dir, model): model.append("warmup")
        def transform_fn(model, body, content_type, accept): return ",".join(model)
        """,
    )

    assert host.invoke().text == "pre,model,warmup"


# where the entry point is


@pytest.mark.parametrize(
    ("file", "env"),
    [
        ("code/inference.py", {}),
        ("inference.py", {}),
        ("code/serve.py", {"SAGEMAKER_PROGRAM": "serve.py"}),
        ("code/serve.py", {"SAGEMAKER_PROGRAM": "serve"}),
        ("serve.py", {"SAGEMAKER_PROGRAM": "serve.py"}),
        ("code/my-script.py", {"SAGEMAKER_PROGRAM": "my-script.py"}),
        ("code/src/serve.py", {"SAGEMAKER_PROGRAM": "src/serve.py"}),
        ("code/serve.py", {"SAGEMAKER_PROGRAM": "/opt/ml/model/code/serve.py"}),
        ("code/inference.py", {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}),
        ("inference.py", {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model"}),
        ("handlers/inference.py", {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/handlers"}),
        ("code/inference.py", {"SAGEMAKER_SUBMIT_DIRECTORY": "file:///opt/ml/model/code"}),
        ("code/inference.py", {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/code"}),
        ("code/inference.py", {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/sourcedir.tar.gz"}),
    ],
)
def test_the_entry_point_is_found_where_aws_looks(
    serve: Serve, file: str, env: dict[str, str]
) -> None:
    host = serve("scikit-learn", files={file: telling("'found'")}, env=env)

    assert host.invoke().text == "found"


def test_code_wins_over_the_root_of_the_artifact(serve: Serve) -> None:
    host = serve("inference", telling("'code'"), files={"inference.py": telling("'root'")})

    assert host.invoke().text == "code"


def test_a_named_program_that_is_missing_is_refused_with_the_places_searched(
    refused: Serve,
) -> None:
    host = refused("pytorch", telling("1"), env={"SAGEMAKER_PROGRAM": "serve.py"})

    assert "the entry point serve.py (SAGEMAKER_PROGRAM) is not in" in host.log
    assert f"{host.model_dir}/code, {host.model_dir}" in host.log


def test_a_submit_directory_that_is_missing_is_refused(refused: Serve) -> None:
    host = refused(
        "inference",
        telling("1"),
        env={"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/src"},
    )

    assert "SAGEMAKER_SUBMIT_DIRECTORY must be a folder of the model artifact" in host.log


@pytest.mark.parametrize("stack", ["scikit-learn", "inference"])
def test_an_artifact_without_an_entry_point_is_refused(refused: Serve, stack: str) -> None:
    host = refused(stack, files={"model.bin": b"x"})

    assert "there is no entry point (code/inference.py, or SAGEMAKER_PROGRAM)" in host.log


# what the entry point can import


@pytest.mark.parametrize("stack", STACKS)
def test_siblings_of_the_entry_point_can_be_imported(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        telling("helper.NAME", "\n    import helper"),
        files={"code/helper.py": "NAME = 'sibling'"},
    )

    assert host.invoke().text == "sibling"


def test_a_module_in_the_root_of_the_artifact_can_be_imported(serve: Serve) -> None:
    host = serve(
        "inference",
        telling("root_module.NAME", "\n    import root_module"),
        files={"root_module.py": "NAME = 'root'"},
    )

    assert host.invoke().text == "root"


@pytest.mark.parametrize("stack", STACKS)
def test_the_entry_point_may_import_relatively(serve: Serve, stack: str) -> None:
    host = serve(
        stack,
        telling("NAME", "\n    from .helper import NAME"),
        files={"code/helper.py": "from .deeper import NAME", "code/deeper.py": "NAME = 'deep'"},
    )

    assert host.invoke().text == "deep"


@pytest.mark.parametrize(
    "name", ["server", "context", "message", "startup", "streaming", "handler", "toolkits"]
)
def test_a_sibling_may_have_the_name_of_a_module_of_the_host(serve: Serve, name: str) -> None:
    host = serve(
        "inference",
        telling(f"{name}.NAME", f"\n    import {name}"),
        files={f"code/{name}.py": "NAME = 'mine'"},
    )

    assert host.invoke().text == "mine"


def test_a_handler_cannot_import_modules_of_the_host_by_their_names(refused: Serve) -> None:
    host = refused("inference", "import message")

    assert "No module named 'message'" in host.log


def test_classes_of_the_entry_point_can_be_unpickled_by_its_name(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        import pickle
        from .helper import greeting
        class Model:
            pass
        def model_fn(model_dir):
            return pickle.loads(b"cinference\\nModel\\n.")
        def transform_fn(model, body, content_type, accept):
            return greeting + model.__name__, accept
        """,
        files={"code/helper.py": "greeting = 'class '"},
    )

    assert host.invoke().text == "class Model"


def test_an_entry_point_whose_name_is_taken_is_refused(refused: Serve) -> None:
    host = refused("inference", files={"code/os.py": "x = 1"}, env={"SAGEMAKER_PROGRAM": "os.py"})

    assert "module os is already loaded" in host.log


# what it finds around itself


@pytest.mark.parametrize("stack", STACKS)
def test_the_working_directory_is_the_model_directory(serve: Serve, stack: str) -> None:
    host = serve(stack, telling("os.getcwd()", "\n    import os"))

    assert host.invoke().text == str(host.model_dir)


def test_programs_the_handler_starts_have_the_same_module_path(serve: Serve) -> None:
    host = serve(
        "inference",
        telling(
            "subprocess.check_output([sys.executable, '-c', 'import helper; print(helper.NAME)'])",
            "\n    import subprocess, sys",
        ),
        files={"code/helper.py": "NAME = 'sibling'"},
    )

    assert "sibling" in host.invoke().text


def test_importing_leaves_no_file_in_the_model_directory(serve: Serve) -> None:
    host = serve("inference", files={"inference.py": telling("sorted(os.listdir(model_dir))",
                                                             "\n    import os, helper"),
                                     "helper.py": "x = 1", "weights.bin": b"w"})  # fmt: skip

    assert host.invoke().text == "['helper.py', 'inference.py', 'weights.bin']"


@pytest.mark.parametrize(
    ("declared", "seen"),
    [(None, "{model_dir}"), ("/opt/ml/model", "{model_dir}"), ("/tmp", "/tmp")],  # noqa: S108
)
def test_sm_model_dir_is_a_folder_that_exists(
    serve: Serve, declared: str | None, seen: str
) -> None:
    env = {} if declared is None else {"SM_MODEL_DIR": declared}
    host = serve("inference", telling("os.environ['SM_MODEL_DIR']", "\n    import os"), env=env)

    assert host.invoke().text == seen.format(model_dir=host.model_dir)


def test_the_environment_can_be_read_at_import(serve: Serve) -> None:
    host = serve(
        "inference",
        telling("THRESHOLD", "\n    import os\n    THRESHOLD = os.environ['THRESHOLD']"),
        env={"THRESHOLD": "0.5"},
    )

    assert host.invoke().text == "0.5"


def test_a_training_script_that_parses_arguments_when_run_can_be_the_entry_point(
    serve: Serve,
) -> None:
    host = serve(
        "scikit-learn",
        """
        from __future__ import print_function
        import argparse, os
        def model_fn(model_dir): return "trained"
        def transform_fn(model, body, content_type, accept): return model, accept
        if __name__ == "__main__":
            parser = argparse.ArgumentParser()
            parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
            parser.parse_args()
            raise SystemExit("trained again")
        """,
    )

    assert host.invoke().text == "trained"


def test_known_arguments_parsed_at_import_are_not_those_of_the_host(serve: Serve) -> None:
    host = serve(
        "inference",
        telling("len(unknown)", "\n    import argparse"
                "\n    _, unknown = argparse.ArgumentParser().parse_known_args()"),
    )  # fmt: skip

    assert host.invoke().text == "0"


def test_the_file_of_the_entry_point_leads_to_its_folder(serve: Serve) -> None:
    host = serve("inference", telling("__file__"))

    assert host.invoke().text == f"{host.model_dir}/code/inference.py"


def test_the_first_file_of_the_model_directory_is_the_deployers(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        import os
        def model_fn(model_dir):
            names = [n for n in os.listdir(model_dir) if os.path.isfile(os.path.join(model_dir, n))]
            return open(os.path.join(model_dir, names[0])).read()
        def transform_fn(model, body, content_type, accept): return model, accept
        """,
        files={"anything.txt": "weights"},
    )

    assert host.invoke().text == "weights"
