"""The tests of on_ray.py in a process of their own.

Ray reads its settings, a cluster's password among them, when it is imported, and any test may have
imported it by then.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # a cluster

RAY = Path(sys.executable).with_name("ray")
HERE = Path(__file__).parent


@pytest.mark.skipif(not RAY.exists(), reason="needs: pip install 'vcm[scale]'")
def test_the_same_work_on_a_real_cluster():
    command = [sys.executable, "-m", "pytest", "-x", str(HERE / "on_ray.py")]
    result = subprocess.run(
        command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0 and "4 passed" in result.stdout + result.stderr, (
        result.stdout[-3000:] + result.stderr[-1000:]
    )
