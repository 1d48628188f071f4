"""Model artifacts: the ``model.tar.gz`` that SageMaker unpacks to ``/opt/ml/model``."""

from __future__ import annotations

import ast
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from constructs_lib._archive import archive_members, write_archive
from constructs_lib.execution_role import ExecutionRole

CODE_FOLDER = "code"

# Where the execution role may read assets. All artifacts share one prefix because the fleet that a
# deploy replaces still reads its own artifact while it serves, and again when it is rolled back to:
# a grant on the newest object alone would take that away in the middle of the update.
ASSET_PREFIX = "model-artifacts"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactLocation:
    """Where an artifact lies once deployed, and what a container needs to know of it."""

    url: str
    environment: Mapping[str, str]


class ModelArtifact(ABC):
    """What SageMaker unpacks to ``/opt/ml/model`` before it starts a container.

    Make one with ``from_handler``, ``from_archive`` or ``from_bucket``; give it to a ``Container``.
    """

    @property
    def compressed(self) -> bool:
        """Whether it is one ``.tar.gz`` archive; a prefix of plain files otherwise."""
        return True

    @abstractmethod
    def bind(self, scope: Construct, role: ExecutionRole) -> ArtifactLocation:
        """Place the artifact in ``scope``'s stack and let ``role`` read it."""

    @staticmethod
    def from_handler(
        code: str | Path,
        *,
        entry_point: str = "inference.py",
        functions: Sequence[str] = ("model_fn",),
        shared: Sequence[str | Path] = (),
        model_files: str | Path | None = None,
    ) -> PackagedArtifact:
        """Pack a handler folder and its model files, reproducibly: same input, same bytes.

        The archive holds ``model_files`` at its root and ``code`` below ``code/``, as the script
        mode of AWS's framework containers expects.

        Args:
            code: folder with the handler, its sibling modules and ``requirements.txt``, if any.
            entry_point: the file in ``code`` that defines the handler functions.
            functions: handler functions that ``entry_point`` must define or import. Give an empty
                sequence where the container has defaults for all of them.
            shared: Python files or folders that join ``code/``, for handlers that share code.
            model_files: folder (its content) or single file to put at the archive's root.

        Raises:
            ValueError: a path is missing, a function is not there, or two files claim one name.
        """
        return _HandlerArtifact(
            code=Path(code),
            entry_point=entry_point,
            functions=tuple(functions),
            shared=tuple(Path(path) for path in shared),
            model_files=None if model_files is None else Path(model_files),
        )

    @staticmethod
    def from_archive(path: str | Path) -> PackagedArtifact:
        """Use a ready ``model.tar.gz`` from this machine."""
        return _ArchiveArtifact(path=Path(path))

    @staticmethod
    def from_bucket(bucket: s3.IBucket, key: str) -> ModelArtifact:
        """Use a ``model.tar.gz`` that already lies in ``bucket`` under ``key``."""
        return _BucketArtifact(bucket=bucket, key=key)

    @staticmethod
    def from_prefix(bucket: s3.IBucket, prefix: str) -> ModelArtifact:
        """Use plain files below ``prefix``, which SageMaker copies without unpacking anything.

        Not for serverless and multi-model endpoints.
        Source: service model, S3ModelDataSource
        """
        return _PrefixArtifact(bucket=bucket, prefix=prefix)


class PackagedArtifact(ModelArtifact):
    """An artifact whose archive is made from files of this machine."""

    @abstractmethod
    def package(self, folder: Path) -> tuple[Path, str]:
        """Write the archive into ``folder``; return its path and SHA-256 digest."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What the container is told of its handler."""
        return {}

    def bind(self, scope: Construct, role: ExecutionRole) -> ArtifactLocation:
        archive, digest = self.package(_asset_folder(scope))
        return ArtifactLocation(
            url=_add_asset(scope, archive, digest, role), environment=self.environment
        )


@dataclass(frozen=True, kw_only=True)
class _HandlerArtifact(PackagedArtifact):
    code: Path
    entry_point: str
    functions: tuple[str, ...]
    shared: tuple[Path, ...]
    model_files: Path | None

    def __post_init__(self) -> None:
        if not self.code.is_dir():
            raise ValueError(f"code must be a folder, got {str(self.code)!r}")
        for path in self.shared:
            if not path.exists():
                raise ValueError(f"shared must name existing files or folders, got {str(path)!r}")
        if self.model_files is not None and not self.model_files.exists():
            raise ValueError(
                f"model_files must be an existing file or folder, got {str(self.model_files)!r}"
            )
        script = self.code / self.entry_point
        if not script.is_file():
            raise ValueError(
                f"entry_point must be a file in {str(self.code)!r}, got {self.entry_point!r}"
            )
        missing = sorted(set(self.functions) - _top_level_names(script))
        if missing:
            raise ValueError(
                f"entry_point {str(script)!r} must define {', '.join(self.functions)}, "
                f"got no {', '.join(missing)}"
            )

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "SAGEMAKER_PROGRAM": self.entry_point,
            "SAGEMAKER_SUBMIT_DIRECTORY": f"/opt/ml/model/{CODE_FOLDER}",
        }

    def package(self, folder: Path) -> tuple[Path, str]:
        return write_archive(self._members(), folder)

    def _members(self) -> Mapping[PurePosixPath, Path]:
        sources: list[tuple[PurePosixPath, Path]] = [(PurePosixPath(CODE_FOLDER), self.code)]
        sources.extend((PurePosixPath(CODE_FOLDER, path.name), path) for path in self.shared)
        if self.model_files is not None:
            root = (
                PurePosixPath()
                if self.model_files.is_dir()
                else PurePosixPath(self.model_files.name)
            )
            sources.append((root, self.model_files))
        return archive_members(sources)


@dataclass(frozen=True, kw_only=True)
class _ArchiveArtifact(PackagedArtifact):
    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_file() or not self.path.name.endswith(".tar.gz"):
            raise ValueError(f"path must be an existing .tar.gz file, got {str(self.path)!r}")

    def package(self, folder: Path) -> tuple[Path, str]:
        content = self.path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        archive = folder / f"asset.{digest}.tar.gz"
        archive.write_bytes(content)
        return archive, digest


@dataclass(frozen=True, kw_only=True)
class _BucketArtifact(ModelArtifact):
    bucket: s3.IBucket
    key: str

    def __post_init__(self) -> None:
        if not cdk.Token.is_unresolved(self.key) and not self.key.endswith(".tar.gz"):
            raise ValueError(f"key must name a .tar.gz object, got {self.key!r}")

    def bind(self, scope: Construct, role: ExecutionRole) -> ArtifactLocation:  # noqa: ARG002
        role.allow("s3:GetObject", resource=self.bucket.arn_for_objects(self.key))
        if self.bucket.encryption_key is not None:
            self.bucket.encryption_key.grant_decrypt(role.policy)
        return ArtifactLocation(url=self.bucket.s3_url_for_object(self.key), environment={})


@dataclass(frozen=True, kw_only=True)
class _PrefixArtifact(ModelArtifact):
    bucket: s3.IBucket
    prefix: str

    def __post_init__(self) -> None:
        if not self.prefix.endswith("/"):
            raise ValueError(f"prefix must end in '/', got {self.prefix!r}")

    @property
    def compressed(self) -> bool:
        return False

    def bind(self, scope: Construct, role: ExecutionRole) -> ArtifactLocation:  # noqa: ARG002
        role.allow_reading_prefix(self.bucket, self.prefix)
        return ArtifactLocation(url=self.bucket.s3_url_for_object(self.prefix), environment={})


def _asset_folder(scope: Construct) -> Path:
    stage = cdk.Stage.of(scope)
    assert stage is not None, "a construct lives in a stage"
    return Path(stage.asset_outdir)


def _add_asset(scope: Construct, archive: Path, digest: str, role: ExecutionRole) -> str:
    """Register ``archive`` for upload as ``<prefix>/<digest>.tar.gz``; return its ``s3://`` URL.

    ``aws_s3_assets.Asset`` would name it ``<digest>.gz`` and grant the whole staging bucket.
    CreateModel documents a ``.tar.gz`` suffix for ModelDataUrl.
    """
    stack = cdk.Stack.of(scope)
    stage = cdk.Stage.of(scope)
    assert stage is not None, "a construct lives in a stage"
    location = stack.synthesizer.add_file_asset(
        file_name=_relative(archive, Path(stage.outdir)),
        packaging=cdk.FileAssetPackaging.FILE,
        source_hash=f"{ASSET_PREFIX}/{digest}.tar",
    )
    role.allow(
        "s3:GetObject",
        resource=stack.format_arn(
            service="s3",
            region="",
            account="",
            resource=location.bucket_name,
            resource_name=f"{ASSET_PREFIX}/*",
        ),
        wildcard_reason="the fleet that an update replaces still reads the artifact it serves",
    )
    return location.s3_object_url


def _relative(path: Path, start: Path) -> str:
    """``path`` as seen from ``start``: a cloud assembly that is moved still finds its assets."""
    return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()


def _top_level_names(script: Path) -> set[str]:
    """Names that importing ``script`` would define, as far as its text shows."""
    try:
        tree = ast.parse(script.read_text(encoding="utf-8"), filename=str(script))
    except SyntaxError as error:
        raise ValueError(f"entry_point must be valid Python, got {error}") from error
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ImportFrom(names=aliases):
                names.update(alias.asname or alias.name for alias in aliases)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names
