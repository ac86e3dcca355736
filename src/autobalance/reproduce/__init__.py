"""The paper's tables, figures and theory, each one command: ``autobalance reproduce NAME``.

A reproduction is a function from a :class:`~autobalance.reproduce.request.Request` to an
:class:`~autobalance.reproduce.outcome.Outcome`; :mod:`~autobalance.reproduce.catalogue` lists them.
"""
