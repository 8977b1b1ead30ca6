# Every command of the project. `make` alone lists them.

# Processes share the two cores, so each keeps to one thread; the portability runs set their own number.
export OPENBLAS_NUM_THREADS ?= 1

VENV    ?= .venv
PYTHON  ?= python3
PYTHONS ?= python3.12 python3.13
PORT    ?= 8000
WORKERS ?= 2
NB      ?=
COURSE  ?= course
STUDENT ?=

bin       := $(VENV)/bin
installed := $(VENV)/.installed

# An instructor's environment stands apart: no reader installs it.
INSTRUCTOR ?= .venv-instructor
teach      := $(INSTRUCTOR)/bin/python
ready      := $(INSTRUCTOR)/.installed

# PyTorch and the libraries beside which we measure stand apart, too.
PEERS  ?= .venv-peers
beside := $(PEERS)/bin/python
met    := $(PEERS)/.installed

# loadfile keeps the cells of a notebook on one worker, in their order, and trains what the tests of a file share once.
NBVAL := $(bin)/python -m pytest -p nbval.plugin --nbval --nbval-current-env -n $(WORKERS) --dist loadfile -p no:cacheprovider -q

# A warning of Sphinx is said once and then forgotten by an incremental build, so each build starts clean.
# $(1) is the folder that receives _build/html, $(2) the folder with the sources.
build_book = rm -rf $(1)/_build/html $(1)/_build/.doctrees && \
	$(bin)/jupyter-book build $(2) --path-output $(1) -W -n --keep-going -q

# The system's own Chromium; its screenshots stay under _build/browser.
export CHROMIUM ?= /usr/bin/chromium
BROWSER := $(bin)/python -m pytest -n $(WORKERS) -q -p no:cacheprovider

.DEFAULT_GOAL := help
.PHONY: help book lite pdf hosted site serve lab lab-peers test test-unit test-notebooks test-book test-gate test-exercises test-portability test-pages \
	test-browser test-lighthouse test-lite peers test-peers test-oracles test-properties test-coverage test-mutants test-order \
	test-pythons test-offline test-wheel test-lowest audit report record-peers bench links record lock clean distclean \
	assignment grade test-grading time-grading

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(installed): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: name one, as in make PYTHON=python3.12"; exit 1; }
	test -x $(bin)/python || $(PYTHON) -m venv $(VENV)
	$(bin)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(bin)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(bin)/python -m pip check --quiet
	@touch $@

$(ready): requirements-instructor.txt pyproject.toml
	test -x $(teach) || $(PYTHON) -m venv $(INSTRUCTOR)
	$(teach) -m pip install --quiet --require-hashes -r requirements-instructor.txt
	$(teach) -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(teach) -m pip check --quiet
	@touch $@

$(met): requirements.txt requirements-peers.txt pyproject.toml
	test -x $(beside) || $(PYTHON) -m venv $(PEERS)
	$(beside) -m pip install --quiet --require-hashes -r requirements.txt
	$(beside) -m pip install --quiet -r requirements-peers.txt
	$(beside) -m pip install --quiet --no-deps torchattacks==3.5.1 pyautoattack==0.2.0
	$(beside) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

ifeq ($(STUDENT),)
book: $(installed)  ## build the book into _build/html (STUDENT=1: without answers, into _build/student)
	@$(call build_book,.,.)
	@echo "$(CURDIR)/_build/html/index.html"
else
book: $(installed) $(ready)
	@$(teach) tools/student_book.py _build/student-source
	@$(call build_book,_build/student,_build/student-source)
	@echo "$(CURDIR)/_build/student/_build/html/index.html"
endif

LITE := $(abspath $(bin))/jupyter-lite build

# JupyterLite with the package's own wheel, so that a notebook opens in the reader's browser without a server.
lite: $(installed)  ## build the notebooks' browser edition into _build/html/lite
	@rm -rf _build/lite _build/html/lite && mkdir -p _build/lite
	@$(bin)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir _build/lite .
	@rm -rf build  # what setuptools leaves
	@$(bin)/python -m pip download --quiet --no-deps --dest _build/lite $$($(bin)/python -m pip freeze | grep '^array-api-compat==')
	@cd _build/lite && $(LITE) --lite-dir . --output-dir ../html/lite --contents ../../chapters --apps lab --no-sourcemaps \
		--no-unused-shared-packages $$(printf -- '--piplite-wheels %s ' *.whl) > build.log 2>&1 || { cat build.log; exit 1; }
	@echo "$(CURDIR)/_build/html/lite/lab/index.html"

pdf: $(installed)  ## print the book in _build/html into one PDF beside it (needs Chromium)
	@$(bin)/python tools/pdf.py _build/html _build/html/adversarial-learning.pdf

hosted: $(installed)  ## copy the notebooks for Colab into _build/hosted: make hosted BOOK_REPOSITORY=https://github.com/owner/name
	@BOOK_REPOSITORY="$(BOOK_REPOSITORY)" $(bin)/python tools/hosted.py

site: export BOOK_SITE = 1
site: $(installed)  ## all that is published, in _build/html: the book, its browser edition, its PDF
	@$(MAKE) --no-print-directory book
	@$(MAKE) --no-print-directory lite
	@$(MAKE) --no-print-directory pdf

serve: book  ## build the book and show it in a browser on this machine
	$(bin)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: $(installed)  ## open the notebooks in JupyterLab
	$(bin)/jupyter-lab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/chapters

lab-peers: $(met)  ## the same with PyTorch, for the page on your own model
	$(beside) -m jupyterlab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/beyond

test: test-unit test-notebooks test-book  ## functions, recorded outputs, the book's build

# The tests of the package itself, and those of the book, the exercises and the gate beside them.
apart := notebooks.py exercises.py gate.py
unit  := tests $(apart:%=--ignore=tests/test_%) $(foreach suite,grading browser lite peers oracles,--ignore=tests/$(suite))
math  := $(unit) $(foreach name,book claims hosted report,--ignore=tests/test_$(name).py)
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder -q

test-unit: $(installed)  ## test the functions, and that claims, pages and tests agree
	$(bin)/python -m pytest $(unit) $(SHARED)

test-gate: $(installed)  ## plant faults in copies of the project: the commands above must turn red
	$(bin)/python -m pytest tests/test_gate.py -n $(WORKERS) -q -p no:cacheprovider

test-exercises: $(installed)  ## run every exercise, compare with what it recorded, and give it wrong answers, which its checks must catch
	$(bin)/python -m pytest tests/test_exercises.py -n $(WORKERS) -q -p no:cacheprovider
	$(NBVAL) exercises

test-notebooks: $(installed)  ## run every chapter and compare with what it recorded
	$(bin)/python -m pytest tests/test_notebooks.py -q -p no:cacheprovider
	@echo "the cells of the chapters, run again:"
	$(NBVAL) chapters

test-book: $(installed)  ## build the book in a folder of its own, any warning an error
	@$(call build_book,_build/test,.)
	@echo "$$(find _build/test/_build/html/_sources -type f | wc -l) pages built without a warning"

test-pages: test-book  ## open every page of the book just built in Chromium, where there is one
	@if test -x "$(CHROMIUM)"; then $(BROWSER) tests/browser/test_pages.py; \
		else echo "SKIPPED: no page was opened in a browser, since there is no $(CHROMIUM)"; fi

test-browser: test-book  ## every page light and dark, wide and narrow, and what a reader does there (minutes)
	rm -rf _build/browser
	$(BROWSER) tests/browser --matrix
	@$(MAKE) --no-print-directory test-lighthouse

test-lighthouse: $(installed)  ## speed, accessibility and search scores of the pages that make test-book built; run it alone
	cd tests/browser/lighthouse && npm ci --silent --no-audit --no-fund
	PYTHONPATH=tools $(bin)/python tests/browser/lighthouse.py

peers: $(met)  ## set up the environment with PyTorch and other libraries, for the page on your own model

test-peers: $(met)  ## the same lines on PyTorch tensors and on a cluster; the page on your own model, run again
	$(beside) -m pytest tests/peers -q -p no:cacheprovider -o filterwarnings=default
	$(beside) -m pytest -p nbval.plugin --nbval --nbval-current-env -p no:cacheprovider -q beyond

test-properties: $(installed)  ## look for exceptions to what must always hold: make test-properties EXAMPLES=1000
	EXAMPLES=$(or $(EXAMPLES),1000) $(bin)/python -m pytest tests/test_properties.py -n $(WORKERS) -q -p no:cacheprovider

test-coverage: $(met)  ## every line and branch of the package must be run by some test
	$(beside) -m pytest $(filter-out --ignore=tests/peers,$(math)) $(SHARED) -o filterwarnings=default -p no:cacheprovider \
		--cov=adv_companion --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

test-mutants: $(met)  ## plant faults in the mathematics, one at a time: the tests must see them (an hour)
	$(beside) tools/mutants.py $(WORKERS)

test-order: $(installed)  ## the tests in random order, twice at the same time
	@for seed in 1 2; do $(bin)/python -m pytest $(math) -q -p no:cacheprovider --random-order-bucket=module \
		--random-order-seed=$$seed & pids="$$pids $$!"; done; for pid in $$pids; do wait $$pid || exit 1; done

test-pythons: $(installed)  ## functions and notebooks under other Pythons: make test-pythons PYTHONS="python3.12 python3.13"
	@for python in $(PYTHONS); do $(MAKE) --no-print-directory VENV=.venv-$${python##*/} PYTHON=$$python test-unit test-notebooks test-exercises || exit 1; done

test-offline: $(installed)  ## functions and notebooks with the network cut off (Linux; asks for a network namespace)
	unshare --net --map-root-user sh -c "ip link set lo up && ! ip route get 192.0.2.1 && $(MAKE) --no-print-directory test-unit test-notebooks test-exercises"

test-wheel: $(installed)  ## build sdist and wheel, and test the package from the wheel alone
	$(bin)/python tools/elsewhere.py wheel $(WORKERS)

test-lowest: $(installed)  ## test the package with the oldest versions that it claims to work with
	$(bin)/python tools/elsewhere.py lowest $(WORKERS)

audit:  ## ask a public database for known vulnerabilities of what is locked (needs the network)
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && $(PYTHON) -m venv "$$tools" && \
	"$$tools/bin/python" -m pip install --quiet pip-audit==2.10.1 && \
	"$$tools/bin/pip-audit" --strict --disable-pip --require-hashes -r requirements.txt -r requirements-instructor.txt

report: $(installed)  ## run all checks and write report.md (hours): make report CHECKS="test-oracles test-peers" for some
	$(bin)/python tools/report.py $(CHECKS)

test-oracles: $(met)  ## attacks, fits, bounds, distances and gradients beside public libraries on the same numbers
	$(beside) -m pytest tests/oracles -q -n $(WORKERS) -p no:cacheprovider -o filterwarnings=default

record-peers: $(met)  ## run the page on your own model and keep its outputs
	$(beside) tools/record.py beyond/own_model.ipynb

bench: $(met)  ## measure speed beside other libraries, and write benchmarks.md (minutes, on a quiet machine)
	PYTHONPATH=tools $(beside) benchmarks/run.py

test-lite: $(installed)  ## the notebooks' browser edition: its imports, its kernel in Chromium, each notebook opened
	cd lite && npm ci --silent --no-audit --no-fund
	$(bin)/python -m pytest tests/lite -q -p no:cacheprovider

links: $(installed)  ## list the links that leave the book just built, and ask whether each still answers (needs the network)
	$(bin)/python tools/links.py _build/test/_build/html

test-portability: $(installed)  ## compare the notebooks again as older processors would run them
	$(bin)/python tools/portability.py $(NBVAL) chapters exercises

record: $(installed)  ## run the notebooks and keep their outputs (one: make record NB=chapters/x.ipynb)
	$(bin)/python tools/record.py $(NB)

lock:  ## write requirements.txt from requirements.in
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(PYTHON) -m venv "$$tools" && "$$tools/bin/python" -m pip install --quiet uv==0.13.9 && \
	"$$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" requirements.in -o requirements.txt && \
	"$$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" requirements-instructor.in -o requirements-instructor.txt

assignment: $(ready)  ## instructors: make assignment NAME=hw1 PICK="tradeoff:1 tradeoff:2"
	@$(teach) tools/assignment.py --course "$(COURSE)" --name="$(NAME)" --pick="$(PICK)"

grade: $(ready)  ## instructors: make grade NAME=hw1 SUBMISSIONS=folder
	@$(teach) tools/grade.py --course "$(COURSE)" --name="$(NAME)" --submissions="$(SUBMISSIONS)" --workers $(WORKERS) \
		$(if $(ROSTER),--roster="$(ROSTER)") $(if $(MANUAL),--manual="$(MANUAL)") $(if $(DUE),--due="$(DUE)")

test-grading: $(installed) $(ready)  ## run the instructors' pipeline from end to end (minutes)
	$(teach) -m pytest tests/grading -q -p no:cacheprovider

time-grading: $(ready)  ## grade 30 submissions, and print time and memory
	$(teach) tools/time_grading.py

clean:  ## remove what was built, and caches
	rm -rf _build .pytest_cache adv_companion.egg-info
	find . \( -path ./$(VENV) -o -path ./$(INSTRUCTOR) -o -path ./$(PEERS) $(PYTHONS:%=-o -path ./.venv-%) \) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +

distclean: clean  ## remove the environments too
	rm -rf .venv .venv-instructor .venv-peers $(PYTHONS:%=.venv-%)
