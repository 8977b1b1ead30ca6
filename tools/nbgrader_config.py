"""A course's settings for nbgrader. `make assignment` copies this file into the course folder, where you may change it;
`make assignment`, `make grade` and nbgrader's own commands read it from there.
"""

import os

from grading import GuardedExecute
from nbconvert.preprocessors import ClearMetadataPreprocessor, TagRemovePreprocessor
from nbgrader import preprocessors as steps

c = get_config()  # noqa: F821
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.course_id = "adversarial-learning"  # any name; PostgreSQL refuses nbgrader's empty one
# The gradebook is gradebook.db in this folder. For a PostgreSQL server instead:
# c.CourseDirectory.db_url = "postgresql+psycopg2://user:password@127.0.0.1/gradebook"

# Seconds for one cell, and for one whole submission. This is the only place where they stand.
c.GuardedExecute.timeout = 20
c.GuardedExecute.submission_timeout = 300
c.GuardedExecute.memory_gib = 4

c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {"solution"}
c.ClearSolutions.text_stub = "*Write your answer here.*"
c.GenerateAssignment.preprocessors = [
    TagRemovePreprocessor,
    steps.LockCells,
    steps.ClearSolutions,
    steps.ClearOutput,
    steps.CheckCellMetadata,
    steps.ComputeChecksums,
    steps.SaveCells,
    steps.ClearHiddenTests,
    steps.ComputeChecksums,
    steps.CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    GuardedExecute,
    ClearMetadataPreprocessor,
    steps.LimitOutput,
    steps.SaveAutoGrades,
    steps.AssignLatePenalties,
    steps.CheckCellMetadata,
]
