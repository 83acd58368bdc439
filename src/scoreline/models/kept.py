"""Kept models: a file or folder in Scoreline's home, pinned by its digest, that any process can load.

What reads them is imported only where a model itself is loaded: a compiled form needs none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scoreline.abc import Compiled, Model
from scoreline.card import Card, read_card
from scoreline.models.compiled.cache import MACHINE_CODE, FormCache
from scoreline.models.compiled.form import is_form
from scoreline.models.compiled.trees import keep_machine_code_in
from scoreline.models.kinds import LIBRARIES, kind_of
from scoreline.models.pinned import Pinned


@dataclass(frozen=True)
class KeptModel(Pinned):
    """Implements `scoreline.abc.ModelFile` for a model that lies in Scoreline's home."""

    def card(self) -> Card | None:
        """See `scoreline.abc.ModelFile.card`."""
        return read_card(Path(self.folder)) if self.folder else None

    @property
    def releases_interpreter(self) -> bool:
        """Whether it predicts in a library's own code, side by side with others in one process."""
        return kind_of(Path(self.path)) in LIBRARIES

    def load(self, features: Sequence[str], predict: str = "value") -> Model:
        """See `scoreline.abc.ModelFile.load`."""
        from scoreline.models import loading

        self._keep_machine_code()
        return loading.load(self, tuple(features), predict)

    def compiled(self, features: Sequence[str], predict: str = "value") -> Compiled | None:
        """See `scoreline.abc.ModelFile.compiled`."""
        self._keep_machine_code()
        return FormCache(Path(self.forms)).read(features, predict) if self.forms else None

    def _keep_machine_code(self) -> None:
        """Forms of trees are walked by code that is compiled once for a home, whatever the model."""
        if self.forms:
            keep_machine_code_in(Path(self.forms).parent / MACHINE_CODE)

    def keep(self, features: Sequence[str], compiled: Compiled, predict: str = "value") -> None:
        """See `scoreline.abc.ModelFile.keep`; forms that need the original beside them are not kept."""
        if self.forms and is_form(compiled.form):
            FormCache(Path(self.forms)).write(features, compiled, compiled.form, predict)

    def forget(self, features: Sequence[str], predict: str = "value") -> None:
        """See `scoreline.abc.ModelFile.forget`."""
        if self.forms:
            FormCache(Path(self.forms)).remove(features, predict)
