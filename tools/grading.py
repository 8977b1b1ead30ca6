"""What the grader adds to nbgrader: locked cells restored, checks that are checked, and marks of tampering."""

import ast
import json
import traceback
from pathlib import Path

import nbformat
from exercises import defines, kind, run, wrong_answers
from nbgrader.preprocessors import Execute
from traitlets import Integer, Unicode

MAX_OUTPUT = 100_000  # characters of output that are kept of a cell
NOT_TRUSTED = (
    "After this answer the checks of this cell pass a wrong answer, or fail the right one. "
    "It has no points until somebody has looked at it."
)


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def restored(release, submission):
    """The submission with every cell of the release in its place: the answers are the student's, all else is ours.

    A cell is known by its grade_id, else by its id, else by its text. Cells that the student added stay behind the cell
    that they followed. Of a copied answer cell the last counts.
    """
    ours = {grade_id(cell) or cell.id: cell for cell in release.cells}
    by_text = {cell.source: name for name, cell in ours.items()}
    theirs, added, anchor = {}, {}, None
    for cell in submission.cells:
        names = [name for name in (grade_id(cell), cell.get("id"), by_text.get(cell.source)) if name in ours]
        anchor = names[0] if names else anchor
        if names and kind(ours[anchor]) in ("answer", "manual"):
            theirs[anchor] = cell.source
        elif cell.source.strip() and not (names and (kind(ours[anchor]) or cell.source == ours[anchor].source)):
            new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
            added.setdefault(anchor, []).append(new(cell.source))
    result = nbformat.from_dict(release)
    result.cells = added.pop(None, [])
    for name, cell in ours.items():
        cell = nbformat.from_dict(cell)
        cell.source = theirs.get(name, cell.source)
        result.cells += [cell, *added.pop(name, [])]
    return result


def parts(notebook):
    """The cells of each exercise of an assignment: {id of its statement: cells}. The imports belong to none."""
    found, current = {}, None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## Exercise "):
            current = cell.id
        if current and not str(grade_id(cell)).endswith("-imports"):
            found.setdefault(current, []).append(cell)
    return found


def probes(source):
    """Programs that show whether a graded cell still checks: {grade_id: [one that must pass, those that must not...]}.

    The first holds the reference answer. The others hold wrong answers that this cell is known to catch, one for each
    of its asserts that catches any.
    """
    found, seen = {}, set()
    imports = [cell for cell in source.cells if str(grade_id(cell)).endswith("-imports")]
    for cells in parts(source).values():
        tests = [cell for cell in cells if kind(cell) == "tests"]
        given = [cell for cell in cells if kind(cell) == "locked" and cell.cell_type == "code"]
        answers = [cell for cell in cells if kind(cell) == "answer" and defines(cell)]

        def program(test, replaced=None, setting=(*given, *answers)):
            texts = [(replaced or {}).get(cell.id, cell.source) for cell in (*setting, test)]
            return "exec({!r}, dict(globals()))".format("\n\n".join(texts))

        for test in tests:
            found[grade_id(test)] = [program(test)]
        for cell in answers:
            name = cell.id.split("-")[0]
            for answer in wrong_answers(name).get(cell.id.removeprefix(f"{name}-"), {}).values():
                raised = run([*imports, *given, *answers, *tests], {cell.id: answer})
                for test in tests:
                    where = (test.id, failing_line(raised[test.id], test.id))
                    if isinstance(raised[test.id], AssertionError) and where not in seen:
                        seen.add(where)
                        found[grade_id(test)].append(program(test, {cell.id: answer}))
    return found


def failing_line(error, file):
    lines = [frame.lineno for frame in traceback.extract_tb(error and error.__traceback__) if frame.filename == file]
    return lines[0] if lines else None


def errors(cell):
    return [output.ename for output in cell.outputs if output.output_type == "error"]


def failed(ename, text):
    return nbformat.v4.new_output("error", ename=ename, evalue="", traceback=[text])


class GuardedExecute(Execute):
    """nbgrader's Execute, an exercise at a time, each in a kernel of its own; and its checks are checked.

    After each graded cell the same kernel runs its probes. An answer that weakens the checks (a patched abs, NumPy or
    package) is found out: they then pass a wrong answer, or fail the reference. The cell gets an error, and no points.
    """

    probes = Unicode(help="file with the probes of the assignment").tag(config=True)
    submission_timeout = Integer(300, help="seconds for one whole submission").tag(config=True)
    memory_gib = Integer(4, help="address space of one process, in GiB").tag(config=True)
    iopub_timeout = Integer(20).tag(config=True)

    def preprocess(self, nb, resources):
        programs = json.loads(Path(self.probes).read_text(encoding="utf-8"))
        inside = parts(nb)
        taken = {id(cell) for cells in inside.values() for cell in cells}
        shared = [cell for cell in nb.cells if id(cell) not in taken]
        for cells in inside.values():
            code = [cell for cell in cells if cell.cell_type == "code"]
            if code:
                self.run_exercise(nb, [cell for cell in shared if cell.cell_type == "code"], code, programs, resources)
        return nb, resources

    def run_exercise(self, nb, shared, code, programs, resources):
        probing = {grade_id(c): [nbformat.v4.new_code_cell(p) for p in programs.get(grade_id(c), [])] for c in code}
        cells = [one for cell in code for one in (cell, *probing[grade_id(cell)])]
        part = nbformat.v4.new_notebook(cells=[*shared, *cells], metadata=nb.metadata)
        try:
            super().preprocess(part, resources)
        except Exception as error:  # the kernel died, or answers no more: this exercise is lost, the others run
            kind_of = "CellTimeoutError" if "imeout" in type(error).__name__ + str(error) else "KernelDied"
            for cell in code:
                if kind(cell) == "tests":
                    cell.outputs = [failed(kind_of, f"{type(error).__name__}: {str(error)[:300]}")]
            return
        for cell in code:
            self.judge(cell, *probing[grade_id(cell)])

    def judge(self, cell, right=None, *wrong):
        if kind(cell) != "tests":
            return
        for output in cell.outputs:  # nbgrader takes all points for a line on stderr, even a warning of NumPy's
            if output.output_type == "stream":
                output.name = "stdout"
        untrue = right and (errors(right) or any(errors(probe) != ["AssertionError"] for probe in wrong))
        if untrue and not errors(cell):
            cell.outputs.append(failed("NotTrusted", NOT_TRUSTED))

    def output(self, outs, msg, display_id, cell_index):
        """Keep the beginning of a cell's output only: 50 MB of it would fill the feedback, and the memory."""
        content = msg["content"]
        kept = sum(len(str(out.get("text", ""))) + len(str(out.get("data", ""))) for out in outs)
        if msg["msg_type"] == "stream":
            content["text"] = content["text"][: max(0, MAX_OUTPUT - kept)]
        elif msg["msg_type"] != "error" and kept + len(str(content)) > 10 * MAX_OUTPUT:
            return None
        return super().output(outs, msg, display_id, cell_index)


# Marks in the text of an answer that a person should look at. They cost no points.

REACHES = {
    "sys",
    "inspect",
    "gc",
    "ctypes",
    "importlib",
    "builtins",
    "os",
    "subprocess",
    "traceback",
    "types",
    "threading",
}
CALLS = {
    "exec",
    "eval",
    "compile",
    "open",
    "setattr",
    "delattr",
    "globals",
    "vars",
    "__import__",
    "get_ipython",
    "input",
}


def marks(program):
    """What in a student's code may reach beyond its own exercise."""
    try:
        tree = ast.parse(program)
    except SyntaxError:
        return set()
    modules = {
        name.asname or name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or "."]
            found |= {f"import {name}" for name in names if name.split(".")[0] in REACHES}
        elif isinstance(node, ast.Name) and node.id in CALLS | {"__builtins__"}:
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr != "__init__":
            found.add(node.attr)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            found |= {ast.unparse(node)} if outer(node) not in {"self"} else set()
        elif isinstance(node, ast.ClassDef):
            dunders = [d.name for d in node.body if isinstance(d, ast.FunctionDef) and d.name.startswith("__")]
            found |= {f"{node.name}.{name}" for name in dunders if name not in ("__init__", "__call__", "__repr__")}
    return found | {f"import {name}" for name in modules if name.split(".")[0] in REACHES}


def outer(node):
    """The name at the root of an attribute: ``np`` of ``np.testing.assert_allclose``."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", "")
