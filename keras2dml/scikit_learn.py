"""What scikit-learn asks of an estimator, so that pipelines and searches take it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Self

from keras2dml.errors import InvalidData

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from keras2dml.compilation import Compilation

# What `fit` alone looks at; of any other parameter an estimator is made anew.
_OF_FIT = frozenset(
    ("weights", "batch_size", "max_iter", "test_iter", "test_interval", "display", "seed")
)


class ScikitLearn:
    """Parameters, clones and tags. A clone shares the session and the Keras model, and begins with
    the model's weights. A classifier is what has a loss of classes.
    """

    _compilation: Compilation

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Change arguments of the constructor; but for those that `fit` alone looks at, the
        estimator begins anew. Raises InvalidData.
        """
        known = self.get_params()
        unknown = sorted(params.keys() - known.keys())
        if unknown:
            message = f"There are no parameters {', '.join(unknown)}: give {', '.join(known)}."
            raise InvalidData(message)
        if params.keys() <= _OF_FIT:
            vars(self).update(params)
        else:
            self.__init__(**{**known, **params})  # type: ignore[misc]
        return self

    @property
    def n_features_in_(self) -> int:
        """The elements of an example."""
        return self._compilation.graph.input.size

    def __sklearn_clone__(self) -> Self:
        return type(self)(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return True  # a Keras model has weights

    def __sklearn_tags__(self) -> Tags:
        from sklearn import utils  # noqa: PLC0415  (who asks has it)

        goal = self._compilation.goals[0]
        classifies, several = goal.loss.kind != "numbers", goal.value.shape[-1] > 2
        return utils.Tags(
            estimator_type="classifier" if classifies else "regressor",
            target_tags=utils.TargetTags(required=True, multi_output=not classifies),
            classifier_tags=utils.ClassifierTags(multi_class=several) if classifies else None,
            regressor_tags=None if classifies else utils.RegressorTags(),
            input_tags=utils.InputTags(sparse=True, three_d_array=True),
            non_deterministic=False,
        )
