"""What is told of an error in a user's code, without a framework."""

import pytest

from harness.errors import BadCase
from harness.worker import user_errors
from harness.worker.user_errors import Rejected, raised_by

PAGE = """Graph execution error:

Detected at node functional/embedding/GatherV2 defined at (most recent call last):
  File "/usr/lib/python3.11/runpy.py", line 198, in _run_module_as_main

  File "/venv/site-packages/keras/src/layers/core/embedding.py", line 140, in call

<stack traces unavailable>
2 root error(s) found.
  (0) INVALID_ARGUMENT:  indices[0,3] = 70 is not in [0, 50)
\t [[{{node functional/embedding/GatherV2}}]]
\t [[functional/Add/_12]]
  (1) INVALID_ARGUMENT:  indices[0,3] = 70 is not in [0, 50)
\t [[{{node functional/embedding/GatherV2}}]]
0 successful operations.
0 derived errors ignored. [Op:__inference_one_step_on_iterator_1182]"""
SHORT_PAGE = """Graph execution error:

Detected at node compile_loss/mse/sub defined at (most recent call last):
<stack traces unavailable>
Incompatible shapes: [8,3] vs. [8,2]
\t [[{{node compile_loss/mse/sub}}]] [Op:__inference_one_step_on_iterator_973]"""


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (PAGE, "INVALID_ARGUMENT: indices[0,3] = 70 is not in [0, 50)"),
        (SHORT_PAGE, "Incompatible shapes: [8,3] vs. [8,2]"),
        ("shapes\n  \x1b[1mdiffer\x1b[0m", "shapes differ"),
    ],
)
def test_a_page_of_tensorflow_is_cut_to_its_sentence(page, sentence):
    """Another text stays, but for bold type."""
    assert user_errors.one_line(ValueError(page)) == f"ValueError: {sentence}"


def raised(folder, text):
    """The error of a user's file whose function `build` calls a framework."""
    package = folder / "site-packages" / "keras"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def call(user):\n    return user()\n")
    (folder / "mine.py").write_text(text)
    code = compile(text, str(folder / "mine.py"), "exec")
    names = {}
    inside = package / "__init__.py"
    exec(compile(inside.read_text(), str(inside), "exec"), names)
    try:
        with raised_by("mine.py:build"):
            exec(code, names)
            names["build"]()
    except Rejected as error:
        return error
    raise AssertionError


def test_a_traceback_starts_at_the_user_s_file(tmp_path):
    """Frames of the harness and of frameworks are left out."""
    text = "def inner():\n    raise RuntimeError('no weights')\n\ndef build():\n    call(inner)\n"
    error = raised(tmp_path, text)
    assert str(error) == "mine.py:build raised RuntimeError: no weights"
    lines = [line for line in user_errors.trace(error).splitlines() if tmp_path.name in line]
    assert [line.rpartition(", in ")[2] for line in lines] == ["build", "inner"]
    assert user_errors.trace(error).endswith("RuntimeError: no weights\n")
    full = user_errors.trace(error, "full")
    assert "site-packages/keras/__init__.py" in full
    assert "user_errors.py" in full


def test_what_led_to_an_error_stands_before_it(tmp_path):
    """As in Python's own."""
    text = (
        "def build():\n    try:\n        {}['width']\n"
        "    except KeyError as error:\n        raise ValueError('no width') from error\n"
    )
    trace = user_errors.trace(raised(tmp_path, text))
    assert trace.index("KeyError: 'width'") < trace.index("ValueError: no width")


def test_a_mistake_that_its_line_explains_has_no_traceback():
    """Nor has what a framework raises without a frame of the user's."""
    assert user_errors.trace(BadCase("mine.py:build returned int, not a Keras model")) == ""
    assert user_errors.trace(Rejected("diverged", "the loss is nan")) == ""
    unframed = Rejected("error", "mine.py:data raised TypeError: one argument is missing")
    unframed.__cause__ = TypeError("one argument is missing")
    assert user_errors.trace(unframed) == ""


def test_a_syntax_error_shows_its_line():
    """No frame is the user's: the file was not executed."""
    try:
        with raised_by("mine.py:build"):
            compile("def build(:\n", "mine.py", "exec")
    except Rejected as error:
        assert 'File "mine.py", line 1' in user_errors.trace(error)


def test_a_fault_of_the_harness_is_told_in_full():
    """Its frames are what matters then."""
    try:
        user_errors._sentence(None)
    except TypeError as error:
        assert "_sentence" in user_errors.trace(error)


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("CUDA_ERROR_INVALID_PTX", "may lack kernels for this GPU: try a newer build"),
        ("Failed to launch: CUDA_ERROR_INVALID_HANDLE", "may lack kernels for this GPU"),
        ("CUDA error: no kernel image is available for execution", "may lack kernels for this GPU"),
        ("libdevice not found at ./libdevice.10.bc", "install nvidia-cuda-nvcc-cu12"),
        ("Couldn't get ptxas version", "--xla_gpu_cuda_data_dir=FOLDER"),
        ("No PTX compilation provider is available", "the compiler of CUDA is not found"),
        ("CUDA driver version is insufficient for CUDA runtime", "install a newer driver"),
        ("The NVIDIA driver on your system is too old", "install a newer driver"),
    ],
)
def test_what_a_gpu_s_error_means_stands_behind_it(text, help_):
    """In the same line; the text of the framework stays."""
    line = user_errors.one_line(RuntimeError(text + " x" * 500))
    assert line.startswith(f"RuntimeError: {text}")
    assert help_ in line.split("; ", 1)[1]
