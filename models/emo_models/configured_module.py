"""diffusers' way to save and load a module, with types: its config is its constructor's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from diffusers.configuration_utils import ConfigMixin
from diffusers.configuration_utils import register_to_config as _register_to_config
from diffusers.models.modeling_utils import ModelMixin

F = TypeVar("F", bound=Callable[..., None])


class ConfiguredModule(ModelMixin, ConfigMixin):  # type: ignore[misc] # diffusers has no types
    """A module with ``save_config``, ``from_config``, ``save_pretrained`` and ``from_pretrained``.

    Attributes:
        config: The constructor's arguments, by attribute and by key; diffusers' own annotation says a plain dict.
    """

    config: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]

    @classmethod
    def migrate_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """A saved config in today's form; a class that has saved others overrides this."""
        return dict(config)

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """See diffusers' ``ConfigMixin.from_config``; configs of earlier versions are migrated first."""
        migrated = cls.migrate_config(config) if isinstance(config, Mapping) else config
        return super().from_config(migrated, return_unused_kwargs, **kwargs)

    def replace_config(self, **values: Any) -> None:
        """Puts ``values`` in the place of the constructor's arguments of those names, for defaults to be filled in."""
        self.register_to_config(**values)  # type: ignore[no-untyped-call, unused-ignore]


def register_to_config(init: F) -> F:
    """Decorates a constructor so that its arguments become the module's config."""
    decorated: F = _register_to_config(init)
    return decorated
