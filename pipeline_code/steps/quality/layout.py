"""What the files of a data set are expected to hold."""

from __future__ import annotations

from dataclasses import dataclass

from ..model import Column, Model


@dataclass(frozen=True)
class Layout:
    """What the files of a data set are expected to hold.

    Attributes
    ----------
    columns
        In order, without the id column.
    header
        Whether a CSV file must have a header row; None where it may.
    """

    model: Model
    columns: tuple[Column, ...]
    header: bool | None

    @classmethod
    def of_batch(cls, model: Model) -> Layout:
        """Return the layout of batches: the features."""
        return cls(model, model.columns, model.batch_header)

    @classmethod
    def of_training(cls, model: Model) -> Layout:
        """Return the layout of training data: the features and the label."""
        return cls(model, (*model.columns, model.target), None)

    def required(self, column: Column) -> bool:
        """Return whether a missing value is a problem."""
        return column.required or column is self.model.target
