# Two commands do everything: `make report` and `make test`.

PYTHON ?= python3
JOBS ?= 2
NAME ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
EXTRAS := notebooks,excel,polars,ibis,spark,test,dev

.PHONY: help report test notebooks clean

help:
	@echo "make report      run the notebooks and write build/report/index.html"
	@echo "make test        lint, types, unit tests, doctests and notebooks"
	@echo "make notebooks   execute notebooks/src/*.py (NAME=00_quickstart for one)"
	@echo "make clean       remove build/ and $(VENV)/"
	@echo "PYTHON=python3.12 chooses the Python (3.11 or later) that $(VENV) is made with."

report: $(INSTALLED)
	@$(BIN)/custseg report --out build/report

test: $(INSTALLED)
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== types"
	@$(BIN)/mypy
	@echo "== unit tests, doctests, notebooks"
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile
	@echo "Passed: lint, types, unit tests, doctests and notebooks."

notebooks: $(INSTALLED)
	@$(BIN)/python -m custseg.reporting.authoring $(NAME)

clean:
	rm -rf build $(VENV)

# The stamp is older than what it was made from when the environment must be brought up to date.
$(INSTALLED): pyproject.toml constraints.txt
	@echo "== set-up in $(VENV)"
	@if [ ! -x $(BIN)/pip ]; then \
		$(PYTHON) -c 'import sys; sys.exit("custseg needs Python 3.11 or later, and $(PYTHON) is %d.%d: name another, such as make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)' \
		&& $(PYTHON) -m venv $(VENV); \
	fi
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@
