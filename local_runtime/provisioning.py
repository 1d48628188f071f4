"""From the description of an endpoint to containers that can be started."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hosting.endpoint import ContainerSpec, EndpointSpec, ModelSpec, ServerlessSpec, VariantSpec
from hosting.instances import instance_type
from hosting.limits import ASYNC_PAYLOAD_MAX_BYTES, SERVERLESS_PAYLOAD_MAX_BYTES
from hosting.placement import Resources
from local_runtime.artifacts import ObjectStore, fetch_model, remove_tree
from local_runtime.component_variant import ComponentVariantPlan
from local_runtime.components import Prepared
from local_runtime.container_environment import MODEL_DIR_ON_AWS, container_environment
from local_runtime.errors import ONLY_CONTAINER, ContainerPlace, NotServableError
from local_runtime.file_system_views import FileSystemViews
from local_runtime.handler_environments import HandlerEnvironments
from local_runtime.http_client import Address, UnixAddress
from local_runtime.images import program_for
from local_runtime.instance import InstancePlanner
from local_runtime.instances import AnyPlan, VariantPlan
from local_runtime.logs import log_file
from local_runtime.model_cache import MODELS
from local_runtime.multi_model_plan import (
    MultiModelPlan,
    multi_model_environment,
    plan_models,
)
from local_runtime.serverless import ServerlessPlan
from local_runtime.settings import ImageMapping, RuntimeSettings
from local_runtime.tasks import together
from local_runtime.workers import PORTS_PER_CONTAINER, ContainerPlan, ProgramSpec

SPOOL: Final = "spool"
"""The folder below the state directory for bodies that are too large for memory."""

# Its folder would do; the interpreter imports more to look into one.
_HANDLER_HOST: Final = Path(__file__).with_name("handler_host") / "__main__.py"

_Command = Callable[[Address], Sequence[str]]


class ProvisioningError(NotServableError):
    """The endpoint cannot be served; the message is for FailureReason."""


def not_served_yet(models: Mapping[str, Any]) -> str | None:
    """What the description asks for that this runtime does not serve, or None.

    It reads the requests as they were sent: ``EndpointSpec`` has no place for some of it.
    """
    asked: list[str] = []
    for model in models.values():
        primary = model.get("PrimaryContainer")
        containers = [primary] if primary is not None else model.get("Containers", [])
        if any("Image" not in container for container in containers):
            asked.append("containers without an Image (ModelPackageName)")
        if any(container.get("AdditionalModelDataSources") for container in containers):
            asked.append("AdditionalModelDataSources")
    if not asked:
        return None
    return f"The local runtime does not serve {' and '.join(dict.fromkeys(asked))} yet."


class Provisioner:
    """Fetches what containers need and plans how they start."""

    def __init__(
        self,
        settings: RuntimeSettings,
        *,
        state_dir: Path,
        run_dir: Path,
        store: ObjectStore,
        environments: HandlerEnvironments,
        lifeline_fd: int,
        views: FileSystemViews | None,
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._run_dir = run_dir
        self._store = store
        self._environments = environments
        self._lifeline_fd = lifeline_fd
        self._views = views

    async def plan(
        self, spec: EndpointSpec, *, region: str, account_id: str, folder: Path
    ) -> Sequence[AnyPlan]:
        """Fetch model data into ``folder``, install requirements, and plan every container.

        Raises:
            ArtifactError: model data is missing or was refused.
            RequirementsError: pip failed.
            UnknownImageError: no program stands in for an image.
            ProvisioningError: something else in the description cannot be served.
        """
        plans: list[AnyPlan] = await together(
            *(
                self._variant(variant, spec.name, region, account_id, folder / variant.name)
                for variant in (*spec.variants, *spec.shadow_variants)
            )
        )
        shadows = {variant.name for variant in spec.shadow_variants}
        for plan in plans:
            if isinstance(plan, VariantPlan):
                plan.shadow = plan.name in shadows
        if spec.async_inference is not None:
            for plan in plans:
                if isinstance(plan, VariantPlan):
                    plan.plan_instance = self._behind_queue(plan.plan_instance)
        return plans

    def _behind_queue(self, plan_instance: InstancePlanner) -> InstancePlanner:
        """Answers may be as large as asynchronous inference allows; large ones become files."""

        def planned(instance_id: str) -> Sequence[ContainerPlan]:
            return [
                replace(
                    container,
                    response_limit=ASYNC_PAYLOAD_MAX_BYTES,
                    spool=self._state_dir / SPOOL,
                )
                for container in plan_instance(instance_id)
            ]

        return planned

    async def _variant(
        self, variant: VariantSpec, endpoint: str, region: str, account_id: str, folder: Path
    ) -> AnyPlan:
        if variant.hosts_components:
            return self._for_components(variant, endpoint, region, account_id, folder)
        model = variant.model
        sources = await self._sources(variant, folder)
        alone = len(model.containers) == 1
        if variant.serverless is not None:
            place = ContainerPlace(region, account_id, endpoint, variant.name, "", ONLY_CONTAINER)
            return self._serverless(sources[0], place, variant, variant.serverless)

        return VariantPlan(
            variant.name,
            variant.initial_weight,
            variant.initial_instance_count,
            self._on_instances(
                sources, ContainerPlace(region, account_id, endpoint, variant.name, "", ""), variant
            ),
            direct=not alone and model.execution_mode == "Direct",
            multi_model=model.is_multi_model,
        )

    def _on_instances(
        self, sources: Sequence[_Source], place: ContainerPlace, variant: VariantSpec
    ) -> InstancePlanner:
        """How the containers of one more instance, or one more copy, are planned."""

        def planned(instance_id: str) -> Sequence[ContainerPlan]:
            return [
                self._container(
                    source,
                    replace(
                        place,
                        instance_id=instance_id,
                        container=ONLY_CONTAINER if len(sources) == 1 else source.spec.hostname,
                    ),
                    variant,
                )
                for source in sources
            ]

        return planned

    def _for_components(
        self, variant: VariantSpec, endpoint: str, region: str, account_id: str, folder: Path
    ) -> ComponentVariantPlan:
        async def prepare(entry: Mapping[str, Any], startup: Mapping[str, Any]) -> Prepared:
            name = entry["name"]
            missing = not_served_yet({name: entry["model"]})
            if missing is not None:
                raise ProvisioningError(missing)
            described = replace(
                variant,
                model=ModelSpec.from_api(entry["model"]),
                startup_timeout_s=startup.get(
                    "ContainerStartupHealthCheckTimeoutInSeconds", variant.startup_timeout_s
                ),
                model_download_timeout_s=startup.get(
                    "ModelDataDownloadTimeoutInSeconds", variant.model_download_timeout_s
                ),
            )
            # A component that fails is tried again, and a name may come back.
            own = folder / name / secrets.token_hex(4)
            try:
                sources = await self._sources(described, own)
            except BaseException:
                await asyncio.shield(asyncio.to_thread(remove_tree, own))
                raise
            place = ContainerPlace(
                region, account_id, endpoint, variant.name, "", "", component=name
            )
            return Prepared(self._on_instances(sources, place, described), own)

        assert variant.instance_type is not None, "only a serverless variant has none"
        return ComponentVariantPlan(
            endpoint=endpoint,
            region=region,
            name=variant.name,
            weight=variant.initial_weight,
            count=variant.initial_instance_count,
            capacity=Resources.of_instance(instance_type(variant.instance_type)),
            managed=variant.managed_instances,
            prepare=prepare,
        )

    def _serverless(
        self, source: _Source, place: ContainerPlace, variant: VariantSpec, size: ServerlessSpec
    ) -> ServerlessPlan:
        def plan_environment(instance_id: str) -> ContainerPlan:
            plan = self._container(source, replace(place, instance_id=instance_id), variant)
            return replace(plan, workers=1, response_limit=SERVERLESS_PAYLOAD_MAX_BYTES)

        return ServerlessPlan(
            region=place.region,
            endpoint=place.endpoint,
            name=variant.name,
            weight=variant.initial_weight,
            size=size,
            plan_environment=plan_environment,
        )

    async def _sources(self, variant: VariantSpec, folder: Path) -> Sequence[_Source]:
        sources: list[_Source] = await together(
            *(
                self._source(container, variant, folder / container.hostname)
                for container in variant.model.containers
            )
        )
        return sources

    async def _source(
        self, container: ContainerSpec, variant: VariantSpec, folder: Path
    ) -> _Source:
        mapping = program_for(container.image, self._settings.images, self._settings.settings_file)
        model_dir = folder / "model"
        asked_s = variant.model_download_timeout_s
        default_s = self._settings.limits.model_download_timeout_s
        timeout_s = default_s if asked_s is None else asked_s
        multi_model = None
        if container.mode == "MultiModel":
            multi_model = plan_models(container, variant, self._store, self._settings.limits)
        if container.model_data_url is None or multi_model is not None:
            await asyncio.to_thread(model_dir.mkdir, parents=True)
        else:
            await self._fetch(
                container.model_data_url,
                compressed=container.model_data_compressed,
                folder=model_dir,
                timeout_s=timeout_s,
            )
        code = container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        submit_directory = None
        if code.startswith("s3://"):
            submit_directory = folder / "submit"
            await self._fetch(code, compressed=True, folder=submit_directory, timeout_s=timeout_s)
        interpreter = self._settings.handler_python
        if mapping.stack is not None:
            code_dir = _code_dir(model_dir, submit_directory)
            requirements = code_dir / "requirements.txt"
            interpreter = await self._environments.interpreter_for(
                requirements if await asyncio.to_thread(requirements.is_file) else None
            )
        return _Source(
            spec=container,
            mapping=mapping,
            folder=folder,
            model_dir=model_dir,
            submit_directory=submit_directory,
            interpreter=interpreter,
            multi_model=multi_model,
        )

    async def _fetch(self, url: str, *, compressed: bool, folder: Path, timeout_s: float) -> None:
        cancelled = threading.Event()
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.to_thread(
                    fetch_model,
                    self._store,
                    url,
                    compressed=compressed,
                    folder=folder,
                    limits=self._settings.limits,
                    cancelled=cancelled,
                )
        except TimeoutError:
            raise ProvisioningError(
                f"Model data {url} was not downloaded and unpacked within {timeout_s:g} s."
            ) from None
        finally:
            cancelled.set()

    def _container(
        self, source: _Source, place: ContainerPlace, variant: VariantSpec
    ) -> ContainerPlan:
        settings = self._settings
        mark = secrets.token_hex(8)
        home = source.folder / f"home-{place.instance_id}"
        (home / "tmp").mkdir(parents=True)

        multi_model = source.multi_model

        def environment(address: Address) -> Mapping[str, str]:
            variables = container_environment(
                address=address,
                ports=PORTS_PER_CONTAINER,
                mark=mark,
                model=source.spec.environment,
                model_dir=source.model_dir if self._views is None else Path(MODEL_DIR_ON_AWS),
                submit_directory=source.submit_directory,
                home=home,
                interpreter=source.interpreter,
                url=settings.url,
                region=place.region,
            )
            if multi_model is None:
                return variables
            return multi_model_environment(variables, source.spec.environment)

        own = source.mapping.command is None
        view: tuple[str, ...] = ()
        if self._views is not None:
            submitted = () if source.submit_directory is None else (source.submit_directory,)
            view = self._views.of(
                model_dir=source.model_dir,
                code_dir=source.code_dir,
                kept=(home, *submitted),
                narrows=own and multi_model is not None,
            )
        # A multi-model container of ours has a process per model below its one.
        workers = _workers(source.spec) if own and multi_model is None else 1
        socket_prefix = str(self._run_dir / f"{mark}-")
        timeout_s = variant.startup_timeout_s
        return ContainerPlan(
            place=place,
            program=ProgramSpec(
                command=source.command_for(
                    self._lifeline_fd,
                    settings.handler_python,
                    socket_prefix,
                    models_dir=None if self._views is None else home / MODELS,
                ),
                environment=environment,
                cwd=source.model_dir if source.mapping.cwd is None else Path(source.mapping.cwd),
                listens_on_port=not own,
                view=view,
                inherited_fds=(self._lifeline_fd,) if own else (),
                interpreter=source.interpreter_command if own else None,
            ),
            workers=workers,
            log=log_file(self._state_dir, place.region, place.log_group, place.log_stream),
            home=home,
            socket_prefix=socket_prefix,
            startup_timeout_s=(
                settings.limits.startup_timeout_s if timeout_s is None else timeout_s
            ),
            response_limit=settings.realtime_payload_bytes,
            mark=mark,
            multi_model=multi_model,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """What all instances of a container share."""

    spec: ContainerSpec
    mapping: ImageMapping
    folder: Path
    model_dir: Path
    submit_directory: Path | None
    interpreter: str
    multi_model: MultiModelPlan | None

    @property
    def code_dir(self) -> Path:
        """Where the handler's code is, if there is any."""
        return _code_dir(self.model_dir, self.submit_directory)

    @property
    def interpreter_command(self) -> tuple[str, ...]:
        """The interpreter that runs our handler host, with its options."""
        return (self.interpreter, "-X", "faulthandler")

    def command_for(
        self,
        lifeline_fd: int,
        handler_python: str,
        socket_prefix: str,
        *,
        models_dir: Path | None,
    ) -> _Command:
        """The command of one worker, given its address.

        Args:
            lifeline_fd: ends the worker when its other end is closed.
            handler_python: what ``{python}`` means.
            socket_prefix: what the paths of sockets begin with.
            models_dir: where target models are unpacked; None when there are no views.
        """
        words, stack = self.mapping.command, self.mapping.stack
        if words is not None:
            program = [word.replace("{python}", handler_python) for word in words]
            return lambda _: program
        return lambda address: [
            *self.interpreter_command,
            str(_HANDLER_HOST),
            "--socket",
            address.path if isinstance(address, UnixAddress) else "",
            "--stack",
            str(stack),
            "--lifeline-fd",
            str(lifeline_fd),
            *self._served(socket_prefix, models_dir),
        ]

    def _served(self, socket_prefix: str, models_dir: Path | None) -> list[str]:
        """The arguments that say what is served: one model, or those that will be loaded."""
        if self.multi_model is None:
            return ["--model-dir", str(self.model_dir) if models_dir is None else MODEL_DIR_ON_AWS]
        memory_bytes = str(self.multi_model.memory_bytes)
        return [
            *(() if models_dir is None else ("--models-dir", str(models_dir))),
            *("--multi-model", "--memory-bytes", memory_bytes),
            *("--socket-prefix", f"{socket_prefix}m"),
        ]


def _code_dir(model_dir: Path, submit_directory: Path | None) -> Path:
    return model_dir / "code" if submit_directory is None else submit_directory


def _workers(container: ContainerSpec) -> int:
    value = container.environment.get("SAGEMAKER_MODEL_SERVER_WORKERS", "1")
    if not value.isdecimal() or int(value) < 1:
        raise ProvisioningError(
            f"SAGEMAKER_MODEL_SERVER_WORKERS must be a number of 1 or more, got {value!r}"
        )
    return int(value)
