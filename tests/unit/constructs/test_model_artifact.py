"""Model artifacts: what is in the archive, and that it is the same everywhere."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from pathlib import Path, PurePosixPath

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib import ModelArtifact
from constructs_lib._archive import archive_members, write_archive
from constructs_lib.execution_role import ExecutionRole
from constructs_lib.model_artifact import ArtifactLocation

_NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=12)


def _bind(artifact: ModelArtifact) -> tuple[cdk.Stack, ArtifactLocation]:
    stack = cdk.Stack()
    role = ExecutionRole(stack, "Role")
    return stack, artifact.bind(stack, role)


def _archives(stack: cdk.Stack) -> list[Path]:
    stage = cdk.Stage.of(stack)
    assert stage is not None
    return sorted(Path(stage.asset_outdir).glob("asset.*.tar.gz"))


def _members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {
            member.name: file.read()
            for member in tar
            if (file := tar.extractfile(member)) is not None
        }


def test_handler_goes_below_code_and_model_files_to_the_root(handler_folder: Path) -> None:
    model = handler_folder.parent / "model"
    (model / "weights").mkdir(parents=True)
    (model / "weights" / "layer.bin").write_bytes(b"\x00\x01")

    stack, _ = _bind(ModelArtifact.from_handler(handler_folder, model_files=model))

    assert set(_members(_archives(stack)[0])) == {"code/inference.py", "weights/layer.bin"}


def test_shared_modules_join_the_code_folder(handler_folder: Path) -> None:
    shared = handler_folder.parent / "units.py"
    shared.write_text("KILO = 1000\n")

    stack, _ = _bind(ModelArtifact.from_handler(handler_folder, shared=[shared]))

    assert _members(_archives(stack)[0])["code/units.py"] == b"KILO = 1000\n"


def test_container_is_told_its_entry_point(handler_folder: Path) -> None:
    (handler_folder / "serve.py").write_text("def model_fn(model_dir):\n    return None\n")

    _, location = _bind(ModelArtifact.from_handler(handler_folder, entry_point="serve.py"))

    assert location.environment == {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }


def test_object_is_named_by_its_content_and_ends_in_tar_gz(handler_folder: Path) -> None:
    stack, location = _bind(ModelArtifact.from_handler(handler_folder))

    digest = hashlib.sha256(_archives(stack)[0].read_bytes()).hexdigest()
    assert stack.resolve(location.url) == {
        "Fn::Sub": f"s3://cdk-hnb659fds-assets-${{AWS::AccountId}}-${{AWS::Region}}"
        f"/model-artifacts/{digest}.tar.gz"
    }


def test_role_reads_model_artifacts_and_no_other_asset(handler_folder: Path) -> None:
    stack, _ = _bind(ModelArtifact.from_handler(handler_folder))

    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::ManagedPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        {
                            "Action": "s3:GetObject",
                            "Effect": "Allow",
                            "Resource": {
                                "Fn::Join": [
                                    "",
                                    Match.array_with(
                                        [
                                            {
                                                "Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}"
                                                "-${AWS::Region}"
                                            },
                                            "/model-artifacts/*",
                                        ]
                                    ),
                                ]
                            },
                        }
                    ]
                )
            }
        },
    )


def test_leftovers_of_editors_and_interpreters_stay_out(handler_folder: Path) -> None:
    (handler_folder / "__pycache__").mkdir()
    (handler_folder / "__pycache__" / "inference.cpython-311.pyc").write_bytes(b"x")
    (handler_folder / ".DS_Store").write_bytes(b"x")

    stack, _ = _bind(ModelArtifact.from_handler(handler_folder))

    assert set(_members(_archives(stack)[0])) == {"code/inference.py"}


def test_times_and_modes_do_not_change_the_bytes(handler_folder: Path) -> None:
    first, _ = _bind(ModelArtifact.from_handler(handler_folder))
    script = handler_folder / "inference.py"
    os.utime(script, (1, 1))
    script.chmod(0o755)

    second, _ = _bind(ModelArtifact.from_handler(handler_folder))

    assert _archives(first)[0].read_bytes() == _archives(second)[0].read_bytes()


@given(files=st.dictionaries(_NAMES, st.binary(max_size=200_000), min_size=1, max_size=4))
def test_same_files_give_the_same_archive_wherever_they_lie(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    archives = []
    for order in (sorted(files), sorted(files, reverse=True)):
        folder = tmp_path_factory.mktemp("members")
        for name in order:
            (folder / name).write_bytes(files[name])
        path, _ = write_archive(
            archive_members([(PurePosixPath(), folder)]), tmp_path_factory.mktemp("out")
        )
        archives.append(path)

    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert _members(archives[0]) == files
    gzip.decompress(archives[0].read_bytes())  # raises when the checksum is wrong


def test_archive_of_this_text_has_these_bytes(tmp_path: Path) -> None:
    """Pins the bytes themselves: a new Python or zlib must not rename every deployed artifact."""
    (tmp_path / "a.txt").write_text("same on every machine\n")

    _, digest = write_archive(
        archive_members([(PurePosixPath("code"), tmp_path / "a.txt")]), tmp_path
    )

    assert digest == "aa2a8caa9f1a1018a8bbc99ed83dbc47c1b880572a1d0f3aa6eb8b79e6d2c09b"


def test_missing_handler_function_is_refused_at_once(handler_folder: Path) -> None:
    (handler_folder / "inference.py").write_text("def predict_fn(data, model):\n    return data\n")

    with pytest.raises(ValueError, match=r"must define model_fn, got no model_fn"):
        ModelArtifact.from_handler(handler_folder)


def test_imported_handler_function_counts(handler_folder: Path) -> None:
    (handler_folder / "inference.py").write_text("from loading import load as model_fn\n")

    ModelArtifact.from_handler(handler_folder)


def test_handler_that_is_not_python_is_refused_with_the_line(handler_folder: Path) -> None:
    (handler_folder / "inference.py").write_text("def model_fn(:\n")

    with pytest.raises(ValueError, match=r"valid Python, got .*line 1"):
        ModelArtifact.from_handler(handler_folder)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("code", "absent"),
        ("entry_point", "absent.py"),
        ("shared", ["absent.py"]),
        ("model_files", "absent"),
    ],
)
def test_missing_paths_are_refused_by_name(
    handler_folder: Path, argument: str, value: object
) -> None:
    arguments = {"code": handler_folder, argument: value}

    with pytest.raises(ValueError, match=rf"{argument} must .*got '.*absent"):
        ModelArtifact.from_handler(**arguments)  # type: ignore[arg-type]


def test_two_files_must_not_claim_one_place(handler_folder: Path) -> None:
    other = handler_folder.parent / "other"
    other.mkdir()
    (other / "inference.py").write_text("")

    with pytest.raises(ValueError, match=r"must not share the name 'code/inference.py'"):
        _bind(ModelArtifact.from_handler(handler_folder, shared=[other / "inference.py"]))


def test_links_are_refused(handler_folder: Path) -> None:
    (handler_folder / "weights").symlink_to("/etc/hostname")

    with pytest.raises(ValueError, match=r"must hold plain files, got the link"):
        _bind(ModelArtifact.from_handler(handler_folder))


def test_ready_archive_is_uploaded_as_it_is(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"made elsewhere")

    stack, location = _bind(ModelArtifact.from_archive(archive))

    assert _archives(stack)[0].read_bytes() == b"made elsewhere"
    assert location.environment == {}


def test_ready_archive_must_be_a_tar_gz(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"")

    with pytest.raises(ValueError, match=r"must be an existing \.tar\.gz file, got '.*model\.zip'"):
        ModelArtifact.from_archive(tmp_path / "model.zip")


def test_object_of_a_bucket_is_readable_alone() -> None:
    stack = cdk.Stack()
    role = ExecutionRole(stack, "Role")
    bucket = s3.Bucket.from_bucket_name(stack, "Models", "team-models")

    location = ModelArtifact.from_bucket(bucket, "v1/model.tar.gz").bind(stack, role)

    assert location.url == "s3://team-models/v1/model.tar.gz"
    resource = {
        "Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::team-models/v1/model.tar.gz"]]
    }
    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::ManagedPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [{"Action": "s3:GetObject", "Effect": "Allow", "Resource": resource}]
                )
            }
        },
    )
