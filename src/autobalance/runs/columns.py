"""Which column of a table plays which role, as the command line was told and a run remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from autobalance.data.tables import Table, read_table
from autobalance.errors import ArtifactError, DataError
from autobalance.runs.rows import Rows
from autobalance.storage import DAMAGED


@dataclass(frozen=True)
class Columns:
    """The roles of columns; in an ``.npz`` file the names are keys of its arrays.

    Parameters
    ----------
    target
        Holds the classes.
    groups
        Hold the groups, which are no features unless ``group_as_feature`` says so.
    split
        Holds train, validation and test.
    drop
        Neither features nor anything else.
    features
        Key of the feature array of an ``.npz`` file. In the other files every column that has no
        other role is a feature.

    Raises
    ------
    DataError
        If a column has two roles.
    """

    target: str
    groups: tuple[str, ...] = ()
    split: str | None = None
    drop: tuple[str, ...] = ()
    group_as_feature: bool = False
    features: str | None = None

    def __post_init__(self) -> None:
        refuse_two_roles(self.target, self.groups, self.split, self.drop)
        if self.group_as_feature and not self.groups:
            raise DataError("--group-as-feature needs a group column; name one with --group")

    def read_to_fit(self, path: Path) -> Rows:
        """The rows of the table at ``path``; raises as :meth:`read` and :meth:`rows` do."""
        return self.rows(self.read(path))

    def read(self, path: Path) -> Table:
        """Read the table at ``path`` with every column that has a role.

        Raises
        ------
        DataError
            If it cannot be read or lacks one of them.
        """
        split = () if self.split is None else (self.split,)
        return read_table(
            path,
            features=self.features,
            required=(self.target, *self.groups, *split, *self.drop),
        )

    def rows(self, table: Table) -> Rows:
        """The rows of a table, with the columns that say what they are.

        Raises
        ------
        DataError
            If a column is missing or holds vectors.
        """
        return Rows(
            table,
            table.column(self.target),
            table.columns(self.groups) if self.groups else None,
            None if self.split is None else table.column(self.split),
        )

    def feature_table(self, table: Table) -> Table:
        """The table less what is no feature."""
        split = () if self.split is None else (self.split,)
        groups = () if self.group_as_feature else self.groups
        return table.without([self.target, *groups, *split, *self.drop])

    def read_again(
        self,
        path: Path,
        needed: Sequence[str],
        wanted: Sequence[str] = (),
        features: str | None = None,
    ) -> Table:
        """Read a further table for the fitted model.

        Parameters
        ----------
        path
            The file.
        needed, wanted
            Columns of single values that it must have, and that are read where it has them.
        features
            Key of its feature array, if that is another than at the fit.

        Raises
        ------
        DataError
            If it cannot be read or lacks a column.
        """
        if not path.name.lower().endswith(".npz"):
            return read_table(path, features=features, required=needed)
        key = features or self.features
        table = read_table(path, features=key, required=needed, optional=wanted)
        if self.features is None or key is None:
            return table
        return replace(table, vectors={self.features: table.vectors[key]})

    def settings(self) -> dict[str, Any]:
        """As a report lists them."""
        return {
            "target": self.target,
            "groups": list(self.groups),
            "group as feature": self.group_as_feature,
            "split column": self.split,
            "left out": list(self.drop),
        }

    def to_state(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Columns:
        """Inverse of :meth:`to_state`, also after a passage through JSON.

        Raises
        ------
        ArtifactError
            If the state is damaged.
        """
        try:
            return cls(
                text(state["target"]),
                tuple(text(name) for name in state["groups"]),
                text_or_none(state["split"]),
                tuple(text(name) for name in state["drop"]),
                bool(state["group_as_feature"]),
                text_or_none(state["features"]),
            )
        except DAMAGED as error:
            raise ArtifactError(
                f"the saved column names are damaged ({error!s}); fit the model again"
            ) from error


def refuse_two_roles(
    target: str | None, groups: Sequence[str], split: str | None, drop: Sequence[str] = ()
) -> None:
    """Refuse columns of which one is named for two purposes.

    Raises
    ------
    DataError
        If there is one.
    """
    roles = [
        *((name, "the target") for name in (target,) if name is not None),
        *((name, "a group") for name in groups),
        *((name, "the split") for name in (split,) if name is not None),
        *((name, "left out") for name in drop),
    ]
    seen: dict[str, str] = {}
    for name, role in roles:
        if name in seen:
            twice = "twice" if seen[name] == role else f"as {seen[name]} and as {role}"
            raise DataError(f"column {name!r} is named {twice}; name it for one purpose")
        seen[name] = role


def text(value: Any) -> str:
    """The name of a column in a saved state, or a ``TypeError``."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no column name")
    return value


def text_or_none(value: Any) -> str | None:
    """The same where a column may be missing."""
    return None if value is None else text(value)
