import pytest

from autobalance.report.roles import Roles


@pytest.mark.parametrize(
    ("kept", "after", "beside"),
    [
        ("AutoBalance", "AutoBalance", None),
        ("VS", "VS", "AutoBalance"),
        ("Cross-entropy", "AutoBalance", None),
    ],
)
def test_a_page_always_has_a_change_to_show(make_run, kept, after, beside):
    roles = Roles.of(make_run(["no", "yes"], kept=kept)[0])
    assert roles.kept["name"] == kept
    assert roles.before["name"] == "Cross-entropy"
    assert roles.after["name"] == after
    assert (None if roles.beside is None else roles.beside["name"]) == beside
    values = [method["value"] for method in roles.ranked]
    assert values == sorted(values)
