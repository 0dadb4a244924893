# `just check` is what CI runs.

# Make the environment, with the package built from this tree.
setup:
    test -d .venv || python3 -m venv .venv
    .venv/bin/pip install -q '.[test,dev]'

# Every gate and every test.
check *args: setup
    PATH="$PWD/.venv/bin:$PATH" .ci/check {{ args }}

# Build the extension into the source tree's environment, for quick turns.
develop:
    test -d .venv || python3 -m venv .venv
    .venv/bin/pip install -q 'maturin>=1.16,<2'
    VIRTUAL_ENV="$PWD/.venv" .venv/bin/maturin develop --release --extras test,dev

# All benchmarks, side by side in one run.
bench *args:
    .venv/bin/pytest benches --benchmark-only {{ args }}
