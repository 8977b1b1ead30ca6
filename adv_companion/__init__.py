"""The mathematics of the companion: a module a topic, a function an idea.

Import from the module that carries the topic, as every page of the book does::

    from adv_companion.norms import linear_maximizer
    from adv_companion.models import LogisticRegression
"""

__version__ = "0.1.0"
