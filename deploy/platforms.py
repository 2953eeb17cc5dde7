"""The platform that settings choose, put together."""

from importlib import import_module

from feedback.clock import Clock
from feedback.errors import ConfigurationError
from feedback.settings import Settings, child_environment
from feedback.store.unit_of_work import Store
from retrain.platforms.bluegreen import BlueGreen
from retrain.platforms.compose import ComposeLauncher
from retrain.platforms.fleet import Fleet, Patience
from retrain.platforms.port import Platform
from retrain.platforms.vllm import VllmPlatform
from retrain.platforms.volume import AdapterVolume


def fleet_of(settings: Settings, store: Store, clock: Clock, platform: Platform) -> Fleet:
    """Returns the loop that keeps rows and the servers of a platform alike."""
    return Fleet(
        store,
        clock,
        platform,
        name=settings.publish.platform,
        patience=Patience(
            start_s=settings.publish.start_timeout_s, linger_s=settings.publish.linger_s
        ),
    )


def remote_platform(settings: Settings) -> Platform | None:
    """Returns the platform that the scheduler itself looks after; None for `process`.

    Processes need a supervisor, which is `understudy up` or `understudy model-fleet`.

    Raises:
        ConfigurationError: Something that the platform needs is not set or not installed.
    """
    publish = settings.publish
    if publish.platform == "process":
        return None
    if not settings.model.embed_url:
        raise ConfigurationError(
            f"UNDERSTUDY_PUBLISH__PLATFORM={publish.platform} needs EMBED_URL: TGI and vLLM have "
            "no /embed; `understudy model-server` has"
        )
    volume = AdapterVolume(publish.volume, publish.mount)
    if publish.platform == "compose":
        launcher = ComposeLauncher(
            publish.compose_file,
            ports=settings.stack.model_ports,
            environment=child_environment(settings),
            drain_s=publish.drain_s,
        )
        return BlueGreen(
            launcher, ports=settings.stack.model_ports, host=publish.host, volume=volume
        )
    if not settings.model.url:
        raise ConfigurationError(
            f"UNDERSTUDY_PUBLISH__PLATFORM={publish.platform} needs TGI_URL: the one address in "
            "front of all replicas"
        )
    if publish.platform == "vllm":
        return VllmPlatform(
            publish.replicas or (settings.model.url,),
            url=settings.model.url,
            api_key=settings.model.api_key.get_secret_value(),
            volume=volume,
        )
    # The official client is an extra; without it everything else works.
    cluster = import_module("retrain.platforms.cluster")
    platform: Platform = cluster.connect(
        namespace=publish.namespace,
        deployment=publish.deployment,
        container=publish.container,
        url=settings.model.url,
        volume=volume,
    )
    return platform
