"""scikit-learn's interface of an estimator, for pipelines and searches."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self

import keras
import numpy as np

from keras2dml import notebook
from keras2dml.errors import InvalidData, InvalidSession
from keras2dml.estimators.estimator import Estimator
from keras2dml.printable import printable

if TYPE_CHECKING:
    from sklearn.utils import Tags

# Parameters that only `fit` uses; any other one resets the estimator.
_OF_FIT = frozenset(
    (
        *("weights", "batch_size", "epochs", "max_iter", "test_iter", "test_interval"),
        *("display", "seed"),
    )
)
_OPTIMIZER = "optimizer__"


class ScikitLearn(Estimator):
    """Parameters, clones and tags. A clone shares the session and the Keras model, and begins with
    the model's weights. A classifier is what has a loss of classes.

    Parameters are the arguments of the constructor, and those of the model's optimizer as
    `optimizer__NAME`.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name; with `deep` also those of the optimizer."""
        own = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        tuned = deep and "optimizer" in own
        config = self._compilation.configuration.arguments if tuned else {}
        plain = (bool, int, float, str, type(None))
        return own | {
            f"{_OPTIMIZER}{name}": value
            for name, value in config.items()
            if name != "name" and isinstance(value, plain)
        }

    def set_params(self, **params: Any) -> Self:
        """Change parameters. The estimator is reset, unless only `fit` uses them.

        Raises InvalidData.
        """
        own, parameters = self.get_params(deep=False), self.get_params()
        unknown = sorted(params.keys() - parameters.keys())
        if unknown:
            message = f"There are no parameters {', '.join(unknown)}: give {', '.join(parameters)}."
            raise InvalidData(message)
        if params.keys() <= _OF_FIT:
            vars(self).update(params)
            return self
        changed = {name: value for name, value in params.items() if name in own}
        changes = {
            name.removeprefix(_OPTIMIZER): value
            for name, value in params.items()
            if name not in own
        }
        if changes:
            changed["optimizer"] = {**(changed.get("optimizer", own["optimizer"]) or {}), **changes}
        self._forget()
        self.__init__(**{**own, **changed})  # type: ignore[misc]
        return self

    @property
    def n_features_in_(self) -> int:
        """The number of elements of an example."""
        return self._compilation.graph.input.size

    @property
    def decision_function(self) -> Callable[[object], np.ndarray]:
        """For two classes in a single output: the signed score of the second class, (N,)."""
        goal = self._compilation.goals[0]
        if goal.loss.kind != "binary" or not goal.classifies:
            message = "Only a model of two classes in one output has a decision_function."
            raise AttributeError(message)

        def decision_function(X: object) -> np.ndarray:
            return np.asarray(self.outputs(X)[0][..., 0] - goal.loss.threshold)

        return decision_function

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = [
            f"{name}={_shown(value)}"
            for name, value in self.get_params(deep=False).items()
            if name != "spark" and _shown(value) != _shown(defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _repr_html_(self) -> str:
        model = f"{type(self.keras_model).__name__} {self.keras_model.name}"
        return notebook.estimator_html(repr(self), model, self.history)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        message = (
            f"A {type(self).__name__} lives in its Spark session, and cannot be copied or pickled:"
            " write its weights with save(), the trained model with to_keras() or save_compiled()."
        )
        raise InvalidSession(message)

    def __sklearn_clone__(self) -> Self:
        twin = type(self)(**self.get_params(deep=False))
        twin.take_settings(self)
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        return True  # a Keras model has weights

    def __sklearn_tags__(self) -> Tags:
        from sklearn import utils  # noqa: PLC0415  (who asks has it)

        goal = self._compilation.goals[0]
        classifies, several = goal.loss.kind not in ("numbers", "labels"), goal.value.shape[-1] > 2
        return utils.Tags(
            estimator_type="classifier" if classifies else "regressor",
            target_tags=utils.TargetTags(required=True, multi_output=not classifies),
            classifier_tags=utils.ClassifierTags(multi_class=several) if classifies else None,
            regressor_tags=None if classifies else utils.RegressorTags(),
            transformer_tags=utils.TransformerTags(),
            input_tags=utils.InputTags(sparse=True, three_d_array=True),
            non_deterministic=False,
        )


def _shown(value: object) -> str:
    if isinstance(value, keras.Model):
        return f"<{type(value).__name__} {printable(value.name)}>"
    return repr(value)
