"""Run notebooks and keep what they print: `make record`.

The book shows recorded outputs, and the tests compare them with a fresh run. A recording therefore holds what the
code gives and nothing of the machine or the moment that ran it, so that recording twice changes nothing.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
QUIET = ["--log-level=ERROR"]  # a kernel on this machine warns that its own socket is not encrypted
PASSING = ("ExecuteTime", "collapsed", "execution", "scrolled")  # what a run or an editor leaves in a cell


def notebooks():
    """Every notebook of the book, in order."""
    found = [p for folder in ("chapters", "exercises") for p in (ROOT / folder).rglob("*.ipynb")]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(ROOT).parts))


def as_recorded(notebook):
    """The text of a notebook's file, without what differs from one machine or run to the next."""
    notebook = nbformat.from_dict(notebook)
    notebook.metadata.update(METADATA)
    for cell in notebook.cells:
        for key in PASSING:
            cell.metadata.pop(key, None)
    return nbformat.writes(notebook) + "\n"


def record(path):
    """Run one notebook in its own folder and keep the outputs; on an error the file stays as it was."""
    notebook = nbformat.read(path, as_version=4)
    # Whether two prints arrive as one output or two depends on timing, so they are joined.
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=QUIET,
    )
    client.execute()
    path.write_text(as_recorded(notebook), encoding="utf-8")


def main(paths):
    for path in paths:
        try:
            record(path)
        except CellExecutionError as error:
            sys.exit(f"{path}: not recorded, a cell failed\n{error}")
        print(f"recorded {path}", flush=True)


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or notebooks())
