import base64
from dataclasses import replace

import numpy as np
import pytest

from autobalance.augmentation.policy import Policy
from autobalance.errors import ArtifactError
from autobalance.report import render_report
from autobalance.report.content.augmentation import augmentation

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and so on").decode()
CHAINS = (("rotate", "invert"), ("shear-x", "equalize"))


def strips(*cell, **changes):
    picture = {"images": 8, "width": 28, "height": 28, "before": PNG, "after": PNG}
    return {"cell": list(cell), **picture, **changes}


def document(policy, *of_cells):
    return {"policy": policy.to_plain(), "strips": list(of_cells)}


def personal(classes, groups=1):
    policy = Policy.uniform(classes, groups, CHAINS, probability=0.5)
    slope = np.linspace(-0.3, 0.3, classes * groups).reshape(classes, groups, 1, 1)
    return replace(policy, probability=policy.probability + slope)


def test_a_run_without_a_policy_has_no_such_section(make_run, read_page):
    metrics, design, history = make_run(["a", "b"])
    assert augmentation(None, design.counts) is None
    page = read_page(render_report(metrics, design, history))
    assert "The augmentation" not in page.headings
    assert "img" not in page.tags


def test_pictures_words_and_values_are_shown_for_the_same_cells(make_run, read_page):
    metrics, design, history = make_run(["a", "b", "c", "d", "<i>"])
    written = document(personal(5), strips(0, 0), strips(2, 0), strips(4, 0, images=3))
    html = render_report(metrics, design, history, written)
    page = read_page(html)
    assert "The augmentation" in page.headings
    assert "#augmentation" in page.links
    assert page.rows["augmentation"] == [
        ["Operation", "Class 'a'", "Class 'c'", "Class '<i>'"],
        ["rotate", "20% up to 9°", "50% up to 9°", "80% up to 9°"],
        ["then invert", "20%", "50%", "80%"],
        ["shear-x", "20% up to 0.09", "50% up to 0.09", "80% up to 0.09"],
        ["then equalize", "20%", "50%", "80%"],
    ]
    for said in (
        "Class 'a' the most frequent, 5,000 images",
        "Class '<i>' the rarest, 100 images",
        "Rotate by up to 9° with probability 0.8, then invert with probability 0.8.",
        "Images of class '<i>', the rarest, get 1.6 operations on average",
        "the values of all classes are in augmentation.json",
    ):
        assert said in page.text
    assert page.tags.count("img") == 6
    assert f'src="data:image/png;base64,{PNG}"' in html
    assert "3 images of class &#39;&lt;i&gt;&#39;, augmented, twice" in html
    assert "img-src data:" in html


def test_one_policy_for_all_is_told_once(make_run):
    _, design, _ = make_run(["a", "b", "c"])
    content = augmentation(document(Policy.uniform(3, 1, CHAINS), strips(0, 0)), design.counts)
    (shown,) = content["shown"]
    assert (shown["name"], shown["rank"], content["all_shown"]) == ("all classes", "", True)
    assert shown["examples"] == design.counts.values.sum()


def test_a_kept_loss_that_was_trained_without_the_policy_says_so(make_run, read_page):
    metrics, design, history = make_run(["a", "b"], ["x", "y"], kept="Logit adjustment")
    written = document(personal(2, 2), *(strips(k, j) for k in (0, 1) for j in (0, 1)))
    page = read_page(render_report(metrics, design, history, written))
    assert "Logit adjustment, which was kept, trained without it." in page.text
    assert "Class 'a' in group 'x'" in page.text


def test_a_comparison_with_losses_that_were_trained_without_a_policy_says_so(make_run, read_page):
    metrics, design, history = make_run(["a", "b"], judged=None)
    said = "Every method differs in its loss only, but that AutoBalance’s training also augments"
    assert said not in read_page(render_report(metrics, design, history)).text
    written = document(personal(2), strips(0, 0), strips(1, 0))
    assert said in read_page(render_report(metrics, design, history, written)).text


def test_balls_have_words_and_no_pictures(make_run, read_page):
    metrics, design, history = make_run(["a", "b"])
    written = document(Policy.ball([[0.1], [0.5]]))
    page = read_page(render_report(metrics, design, history, written))
    assert "Move within a ball of radius 0.5." in page.text
    assert "img" not in page.tags


@pytest.mark.parametrize(
    "damage",
    [
        strips(0, 0, before="javascript:alert(1)"),
        strips(0, 0, after=base64.b64encode(b"GIF89a").decode()),
        strips(7, 0),
        strips(0),
        {"cell": [0, 0]},
    ],
)
def test_damaged_pictures_are_refused(make_run, damage):
    with pytest.raises(ArtifactError, match=r"augmentation\.json is damaged"):
        render_report(*make_run(["a", "b"]), document(personal(2), damage))


def test_a_policy_of_other_classes_or_none_is_refused(make_run):
    run = make_run(["a", "b"])
    with pytest.raises(ArtifactError, match=r"augmentation\.json is damaged"):
        render_report(*run, document(personal(3)))
    with pytest.raises(ArtifactError, match="the policy is damaged"):
        render_report(*run, {"policy": {}, "strips": []})
