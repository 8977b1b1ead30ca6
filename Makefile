# Every command of the project. `make` alone lists them.

# Processes share the two cores, so each keeps to one thread; the portability runs set their own number.
export OPENBLAS_NUM_THREADS ?= 1

VENV    ?= .venv
PYTHON  ?= python3
PORT    ?= 8000
WORKERS ?= 2
NB      ?=

bin       := $(VENV)/bin
installed := $(VENV)/.installed

# loadfile keeps the cells of a notebook on one worker, in their order, and trains what the tests of a file share once.
NBVAL := $(bin)/python -m pytest --nbval --nbval-current-env -n $(WORKERS) --dist loadfile -p no:cacheprovider -q

# A warning of Sphinx is said once and then forgotten by an incremental build, so each build starts clean.
# $(1) is the folder that receives _build/html.
build_book = rm -rf $(1)/_build/html $(1)/_build/.doctrees && \
	$(bin)/jupyter-book build . --path-output $(1) -W -n --keep-going -q

.DEFAULT_GOAL := help
.PHONY: help book serve lab test test-unit test-notebooks test-book test-portability record lock clean distclean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(installed): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: name one, as in make PYTHON=python3.12"; exit 1; }
	test -x $(bin)/python || $(PYTHON) -m venv $(VENV)
	$(bin)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(bin)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

book: $(installed)  ## build the book into _build/html
	@$(call build_book,.)
	@echo "$(CURDIR)/_build/html/index.html"

serve: book  ## build the book and show it in a browser on this machine
	$(bin)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: $(installed)  ## open the notebooks in JupyterLab
	$(bin)/jupyter-lab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/chapters

test: test-unit test-notebooks test-book  ## run every check

test-unit: $(installed)  ## test the functions, and the gate itself
	$(bin)/python -m pytest tests -n $(WORKERS) --dist loadfile -q --ignore=tests/test_notebooks.py

test-notebooks: $(installed)  ## run every notebook and compare with what it recorded
	$(bin)/python -m pytest tests/test_notebooks.py -n $(WORKERS) -q -p no:cacheprovider
	@echo "the cells of the notebooks, run again:"
	$(NBVAL) chapters exercises

test-book: $(installed)  ## build the book in a folder of its own, any warning an error
	@$(call build_book,_build/test)
	@echo "$$(find _build/test/_build/html/_sources -type f | wc -l) pages built without a warning"

test-portability: $(installed)  ## compare the notebooks again as older processors would run them
	$(bin)/python tools/portability.py $(NBVAL) chapters exercises

record: $(installed)  ## run the notebooks and keep their outputs (one: make record NB=chapters/x.ipynb)
	$(bin)/python tools/record.py $(NB)

lock:  ## write requirements.txt from requirements.in
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(PYTHON) -m venv "$$tools" && "$$tools/bin/python" -m pip install --quiet uv==0.13.9 && \
	"$$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" requirements.in -o requirements.txt

clean:  ## remove what was built, and caches
	rm -rf _build .pytest_cache adv_companion.egg-info
	find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +

distclean: clean  ## remove .venv too
	rm -rf .venv
