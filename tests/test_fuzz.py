"""A thousand damaged files by fuzz.py, which does a hundred thousand."""

import json
import subprocess
import sys

import fuzz
import pytest

pytestmark = pytest.mark.slow  # thousands of files


@pytest.mark.parametrize("seed", range(2))
def test_damaged_files_give_an_error_of_a_file_or_a_picture_in_time_and_memory(seed):
    """In a process of its own, whose memory is that of these files."""
    command = [sys.executable, fuzz.__file__, "--count", "300", "--seed", str(seed)]
    command += ["--seconds", "100"]  # a hang, not a speed: that is for a quiet machine
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"BitstreamError", "ModelError", "a picture"} < set(json.loads(done.stdout))
