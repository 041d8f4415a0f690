"""exp, log, tanh and the sigmoid of kernels: near the true value, however Java runs the loop."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keras2dml.kernels import build

pytestmark = [pytest.mark.systemds, pytest.mark.slow]

PROGRAM = """
package keras2dml.kernels.float32;

import java.io.DataOutputStream;
import java.io.FileOutputStream;
import java.util.Random;

public final class Digest {
	public static void main(String[] args) throws Exception {
		int count = 2051, special = 8;
		float[] x = new float[count], y = new float[count];
		System.arraycopy(new float[] {0, 1, -1, Float.NaN, Float.POSITIVE_INFINITY,
			Float.NEGATIVE_INFINITY, Float.MIN_VALUE, -Float.MAX_VALUE}, 0, x, 0, special);
		try(DataOutputStream out = new DataOutputStream(new FileOutputStream(args[0]))) {
			for(String name : new String[] {"EXP", "LOG", "TANH", "SIGMOID"}) {
				int op = java.util.Arrays.asList(Cells.NAMES).indexOf(name);
				Random random = new Random(1);
				for(int i = special; i < count; i++)
					x[i] = (float) (random.nextGaussian() * Math.pow(10, i % 5 - 2));
				for(int round = 0; round < Integer.parseInt(args[1]); round++)
					Cells.apply(op, y, 0, x, 0, x, 0, x, 0, count);
				for(int i = 0; i < count; i++) {
					out.writeDouble(x[i]);
					out.writeDouble(y[i]);
				}
			}
		}
	}
}
"""
TRUE = (np.exp, np.log, np.tanh, lambda x: 1 / (1 + np.exp(-x)))


@pytest.mark.skipif(build.javac() is None, reason="there is no javac")
@pytest.mark.parametrize(("package", "kind"), [("float32", np.float32), ("float64", np.float64)])
def test_functions_have_the_same_bits_interpreted_and_compiled(tmp_path, package, kind):
    text = PROGRAM
    if package == "float64":
        for pattern, replacement in build.TO_DOUBLE:
            text = pattern.sub(replacement, text)
    source = tmp_path / "Digest.java"
    source.write_text(text)
    path = os.pathsep.join([str(build.build()), build.class_path()])
    module = ["--add-modules", "jdk.incubator.vector", "-cp", f"{tmp_path}{os.pathsep}{path}"]
    subprocess.run([build.javac(), "-nowarn", "-d", tmp_path, *module, source], check=True)
    java = Path(build.javac()).with_name("java")
    # Tests' JVMs have their first compiler alone, which makes objects of vectors.
    environ = {name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"}
    files = []
    for mode, rounds in (("-Xint", 1), ("-Xmixed", 3000)):
        files.append(tmp_path / mode)
        command = [java, mode, *module, f"keras2dml.kernels.{package}.Digest", files[-1]]
        subprocess.run([*command, str(rounds)], check=True, env=environ, capture_output=True)
    assert files[0].read_bytes() == files[1].read_bytes()
    x, y = np.fromfile(files[0], ">f8").reshape(len(TRUE), -1, 2).transpose(2, 0, 1)
    with np.errstate(all="ignore"):
        for function, numbers, ours in zip(TRUE, x, y, strict=True):
            exact = function(numbers)
            near = exact.astype(kind)
            same = (near == ours) | (np.isnan(near) & np.isnan(ours))
            same |= np.abs(exact) < np.finfo(kind).tiny
            far = np.abs(ours - exact)[~same] / np.spacing(np.abs(near[~same])).astype(float)
            assert np.isfinite(near[~same]).all() and (far < 5).all()
