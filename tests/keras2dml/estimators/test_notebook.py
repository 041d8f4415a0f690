"""How things look in a notebook: a kernel of Jupyter runs the cells, and what it shows is read."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

from keras2dml import InvalidData
from keras2dml.estimators.plots import plot_confusion, plot_history
from keras2dml.notebook import Bar, PlainText, estimator_html
from keras2dml.systemds.explain import readable

ROOT = Path(__file__).parents[3]
JUPYTER = ("ipykernel==7.4.0", "nbclient==0.11.0", "nbformat==5.11.1", "matplotlib-inline==0.2.1")
CELLS = (
    "import keras, numpy as np\nfrom keras2dml import Keras2DML, spark_session\n"
    "spark = spark_session('notebook', 'local[2]'); spark",
    "built = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, 'softmax')])\n"
    "built.compile('adam', 'sparse_categorical_crossentropy', metrics=['accuracy'])\n"
    "X = np.random.default_rng(0).normal(size=(300, 4)); y = np.arange(300) % 3\n"
    "model = Keras2DML(spark, built, batch_size=20)\n"
    "model.fit(X, y, epochs=2, validation_split=0.2)",
    "model.explain(100)",
    "model.plot_history();",
    "model.plot_confusion(X, y).confusion_matrix.sum()",
    "def user_function():\n    model.fit(X[:, :3], y)\nuser_function()",
)
PROGRAM = """
import json, sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook()
notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.stdin.read())]
NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True).execute()
print(json.dumps([cell.outputs for cell in notebook.cells]))
"""


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.systemds
def test_a_notebook_shows_what_helps_and_nothing_else(tmp_path):
    venv.create(tmp_path / "jupyter", with_pip=True)
    python = tmp_path / "jupyter" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *JUPYTER], check=True)
    (site,) = (tmp_path / "jupyter" / "lib").glob("python3*/site-packages")
    (site / "all.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    cells = json.dumps(CELLS)
    run = subprocess.run(
        [python, "-c", PROGRAM], check=True, input=cells, stdout=subprocess.PIPE, text=True
    )
    session, fitted, plan, history, confusion, failed = json.loads(run.stdout)
    shown = session[-1]["data"]["text/html"]
    assert "local[2]" in shown and "<a href" not in shown
    bar = next(output for output in fitted if output["output_type"] == "display_data")
    assert "24 of 24 iterations" in bar["data"]["text/plain"]
    assert "<progress value" in bar["data"]["text/html"]
    lines = "".join(output.get("text", "") for output in fitted).splitlines()
    assert [line[:9] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    assert "<tr><th>trained</th><td>2 epochs</td></tr>" in fitted[-1]["data"]["text/html"]
    assert not any("<pre" in json.dumps(output) for output in fitted)
    assert plan[0]["data"]["text/plain"].startswith("PROGRAM (")
    assert any("image/png" in output["data"] for output in history)
    assert any(output["data"].get("text/plain", "").endswith("300)") for output in confusion)
    trace = failed[0]["traceback"]
    assert len(trace) == 5 and trace[-1].startswith("InvalidData: X has shape (300, 3)")
    assert "user_function()" in trace[1]


def test_a_plan_is_read_without_its_book_keeping():
    plan = (
        "\nPROGRAM ( size CP/SP = 3/0 )\n--MAIN PROGRAM\n----GENERIC (lines 1-30)\n"
        "------CP createvar _mVar3 scratch_space//_p1//temp1 true MATRIX binary -1 4 1000 -1 copy\n"
        "------CP + begin.SCALAR.INT64.false 249.SCALAR.INT64.true _Var1.SCALAR.INT64\n"
        "------SPARK mapmm _mVar20.MATRIX.FP64 W.MATRIX.FP64 _mVar21.MATRIX.FP64 RIGHT true NONE\n"
        "------CP rmvar _mVar3\n"
    )
    assert readable(plan) == (
        "PROGRAM ( size CP/SP = 3/0 )\n  MAIN PROGRAM\n    GENERIC (lines 1-30)\n"
        "      CP + begin 249 _Var1\n      SPARK mapmm _mVar20 W _mVar21 RIGHT true NONE"
    )


def test_names_are_no_markup():
    html = estimator_html("<b>", "Sequential <i>", {"loss": [2.0, 1.0]})
    assert "&lt;b&gt;" in html and "&lt;i&gt;" in html and "2 epochs" in html
    assert '<progress value="0" max="7">' in Bar(7)._repr_html_()
    scores = {"f1": [np.array([0.25, 0.75])]}
    assert "<td>0.5</td>" in estimator_html("t", "m", scores)
    assert PlainText("a\nb") == "a\nb"


def test_plots_show_the_history():
    axes = plot_history({"loss": [3.0, 2.0], "val_loss": [4.0, 3.0], "accuracy": [0.5, 0.6]})
    assert [area.get_title() for area in axes] == ["loss", "accuracy"]
    training, validation = axes[0].lines
    np.testing.assert_array_equal(validation.get_ydata(), [4.0, 3.0])
    assert (training.get_label(), validation.get_label()) == ("training", "validation")
    (area, _) = plot_history({"loss": [3.0, 2.0], "val_loss": [4.0], "acc": [1, 1]}, [3, 4], [4])
    assert [list(line.get_xdata()) for line in area.lines] == [[3, 4], [4]]
    display = plot_confusion([0, 1, 1], [0, 1, 0], np.arange(2))
    np.testing.assert_array_equal(display.confusion_matrix, [[1, 0], [1, 1]])


def test_a_missing_plotting_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(InvalidData, match=r"pip install 'keras2dml\[plots\]'"):
        plot_history({"loss": [1.0]})
