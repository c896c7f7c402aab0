"""How often the gate is wrong: stored runs of it, and the page that is written from them.

``python -m initcheck.error_rates`` adds runs and writes ``OPERATING.md``; see its ``--help``.
"""
