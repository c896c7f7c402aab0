"""How often the gate is wrong: runs of it are kept as shards, and a page is written from them.

``python -m initcheck.error_rates`` adds runs and writes ``OPERATING.md``; see its ``--help``.
"""
