"""Templates of pages, and Markdown tables."""

from __future__ import annotations

import jinja2
import pytest

from initcheck.files.templates import html_template, markdown_template, single_blank_lines, table


def test_cells_are_written_without_padding_and_as_they_are():
    text = table(["claim", "r"], [["a long name", "007"], ["b", 1.50]])
    head, rule, *rows = text.splitlines()
    assert head == "| claim | r |"
    assert set(rule) == {"|", "-"}
    assert rows == ["| a long name | 007 |", "| b | 1.5 |"]


def test_pipes_in_cells_are_escaped():
    assert table(["arm"], [["mlp | he"]]).endswith("| mlp \\| he |")


def test_table_without_rows_has_its_head():
    assert table(["claim"], []).startswith("| claim |\n|")


@pytest.mark.parametrize("template", [html_template, markdown_template])
def test_missing_name_in_a_template_is_an_error(template):
    with pytest.raises(jinja2.UndefinedError):
        template("cli/compare_init", "compare.svg.j2").render()


def test_repeated_blank_lines_are_joined():
    assert single_blank_lines("\na\n\n\nb\n\n\n") == "a\n\nb\n"
