"""The first cell of a chapter notebook, for hosts that have not got the package, and copies of the notebooks for Colab.

`make hosted BOOK_REPOSITORY=https://github.com/owner/name` writes the copies into _build/hosted, with that address in their
first cell; pushed to a branch, they are what a Colab link opens.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = 'REPOSITORY = ""'
SETUP = f'''import sys

if sys.platform == "emscripten":  # JupyterLite: the book brings the package
    import piplite

    await piplite.install("adv-companion[book,digits]")
elif "google.colab" in sys.modules:
    {ADDRESS}  # written in where the notebooks are published
    package = f"adv-companion[book,digits]@git+{{REPOSITORY}}"
    get_ipython().run_line_magic("pip", f"install -q {{package}}")'''


def setup_cell():
    """The cell as a notebook holds it: the book does not show it, and here it does nothing."""
    source = SETUP.splitlines(keepends=True)
    metadata = {"tags": ["remove-cell"]}
    return {"cell_type": "code", "execution_count": None, "id": "setup", "metadata": metadata, "outputs": [], "source": source}


def with_address(text, repository):
    """A notebook's text with the address of the repository in its first cell."""
    empty, full = (json.dumps(line)[1:-1] for line in (ADDRESS, f'REPOSITORY = "{repository}"'))
    if text.count(empty) != 1:
        raise ValueError("the notebook has no first cell to write the address into")
    return text.replace(empty, full)


def main():
    repository = os.environ.get("BOOK_REPOSITORY")
    if not repository:
        sys.exit("BOOK_REPOSITORY must be the address of the public repository, https://github.com/owner/name")
    out = ROOT / "_build" / "hosted" / "chapters"
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        (out / path.name).write_text(with_address(path.read_text(encoding="utf-8"), repository), encoding="utf-8")
    print(f"{len(list(out.iterdir()))} notebooks in {out}")


if __name__ == "__main__":
    main()
