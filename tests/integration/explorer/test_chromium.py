"""The explorer's page in Chromium, opened from file:// with the network off: what a person sees and does."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from chromium import Browser, Page, browsing
from made_up_page import HOSTILE, LAYER, made_up

from lcrp.page.html import folder_files, one_file
from lcrp.page.pack import packed

pytestmark = pytest.mark.slow

AXE = Path(__file__).parent / "axe" / "axe.min.js"
VIEWS = {
    "overview": "#/overview",
    "decisions": "#/decisions?class=boat&sort=outside",
    "decision": "#/decision/0.0.0",
    "decision with a mask": "#/decision/3.0.0",
    "false alarm": "#/decision/1.1.0",
    "misses": "#/decisions?verdict=missed",
    "miss": "#/decision/m1.1",
    "audit": "#/audit",
    "audit of a class": "#/audit?class=kite",
    "concept": f"#/concept/{LAYER}/5?class=boat",
    "concepts": "#/concepts?sort=context&class=car",
    "compare": "#/compare?a=0.0.0&b=4.1.0",
    "nothing": "#/nowhere",
}
HEADINGS = {
    "overview": "What does it look at?",
    "decisions": "Decisions",
    "decision": "boat",
    "decision with a mask": "boat",
    "false alarm": "car",
    "misses": "Decisions",
    "miss": "car",
    "audit": "Does it need the context?",
    "audit of a class": "Does it need the context?",
    "concept": "c5",
    "concepts": "Concepts",
    "compare": "Compare",
    "nothing": "Nothing here",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "audit.html"
    path.write_bytes(b"".join(one_file(packed(made_up()))))
    return path


def _is_quiet(page: Page) -> None:
    assert page.messages == []
    assert page.requests == []


def test_every_view_is_reached_by_its_address(browser: Browser, page_file: Path) -> None:
    for name, address in VIEWS.items():
        page = browser.open(page_file, address=address)
        page.settle()
        assert page.evaluate("document.querySelector('h1').textContent").startswith(HEADINGS[name])
        assert page.evaluate("document.querySelectorAll('[data-missing]').length") == 0
        _is_quiet(page)
        page.close()


@pytest.mark.parametrize(
    ("count", "told"), [(4, "Too few decisions of any class"), (10, "of the evidence lies outside")]
)
def test_no_headline_rests_on_few_decisions(browser: Browser, tmp_path: Path, count: int, told: str) -> None:
    content = made_up(num_decisions=count)
    one_class = tuple(replace(one, facts={**one.facts, "class_id": 0}) for one in content.decisions)
    path = tmp_path / "few.html"
    path.write_bytes(b"".join(one_file(packed(replace(content, decisions=one_class, findings=())))))
    page = browser.open(path)
    assert told in page.evaluate("document.querySelector('.lead').textContent")
    page.close()


def test_back_and_copied_links_lead_where_they_led(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file)
    for address in VIEWS.values():
        page.go(address)
    page.evaluate("history.go(-3)")
    page.wait("location.hash.startsWith('#/concept/')")
    page.settle()
    assert page.evaluate("document.querySelector('h1').textContent") == "c5"
    _is_quiet(page)
    page.close()


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("is_dark", [False, True])
def test_axe_finds_nothing(browser: Browser, page_file: Path, width: int, is_dark: bool) -> None:
    page = browser.open(page_file, width=width, is_dark=is_dark)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for name, address in VIEWS.items():
        page.go(address)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        page.settle()
        found = json.loads(
            page.evaluate(
                "axe.run().then((found) => JSON.stringify(found.violations.map((one) => "
                "[one.id, one.help, one.nodes.slice(0, 3).map((node) => node.html + ' ' + node.failureSummary)])))"
            )
        )
        assert found == [], name
        width_of_page = page.evaluate("document.documentElement.scrollWidth")
        assert width_of_page <= width, f"{name} scrolls sideways"
    page.close()


def test_everything_by_keys_alone(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file)
    heading, here = "document.querySelector('h1').textContent", "location.hash"
    page.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    for letter in "c7":
        page.press(letter)
    page.press("Enter")
    page.wait("location.hash.includes('/7')")
    page.settle()
    assert page.evaluate(heading) == "c7"
    page.press("l")
    assert "backbone.other" in page.evaluate(here)
    page.press("h")
    assert f"/{LAYER}/" in page.evaluate(here)
    page.press("Escape")
    assert page.evaluate(here) == "#/concepts"
    page.press("j")
    page.press("Enter")
    page.wait("location.hash.startsWith('#/concept/')")
    page.press("Escape")
    page.press("Escape")
    assert page.evaluate(here).startswith("#/overview")
    page.go("#/decisions")
    for _ in range(2):
        page.press("j")
    page.press("k")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#/decision/0.0.0"
    page.press("Enter")
    page.wait("location.hash === '#/decision/0.0.0'")
    page.settle()
    page.press("2")
    pressed = "[...document.querySelectorAll('.choose')].map((one) => one.getAttribute('aria-pressed'))"
    assert page.evaluate(pressed)[:3] == ["false", "true", "false"]
    assert "relevance through" in page.evaluate("document.querySelector('figcaption').textContent")
    page.press("o")
    assert page.evaluate("document.querySelector('.frame').style.getPropertyValue('--opacity')") == "0"
    page.press("b")
    assert "marks=0.0.0" in page.evaluate(here)
    page.press("j")
    assert page.evaluate(here).startswith("#/decision/1.1.0")
    assert "marks=0.0.0" in page.evaluate(here)
    page.press("c")
    assert page.evaluate(here).startswith("#/compare?a=1.1.0")
    page.press("j")
    assert "b=2.2.0" in page.evaluate(here)
    page.press("?")
    assert page.evaluate("document.querySelector('dialog').open")
    page.press("Escape")
    assert not page.evaluate("document.querySelector('dialog').open")
    _is_quiet(page)
    page.close()


def test_every_link_and_button_is_reached_by_tab(browser: Browser, page_file: Path) -> None:
    """What takes a click and no Tab is closed to whoever has no pointer."""
    page = browser.open(page_file)
    # Focus comes back from the browser's own bar some time after the key: what took it is told by the page.
    page.evaluate(
        "document.addEventListener('focusin', (event) => event.target.setAttribute('data-focused', ''), true); 0"
    )
    open_ones = (
        "[...document.querySelectorAll('a[href], button, input, select, summary')]"
        ".filter((one) => one.checkVisibility() && !one.closest('dialog'))"
    )
    for address in VIEWS.values():
        page.go(address)
        page.evaluate("document.activeElement.blur()")
        page.evaluate(
            "for (const one of document.querySelectorAll('[data-focused]')) one.removeAttribute('data-focused'); 0"
        )
        for _ in range(page.evaluate(f"{open_ones}.length") + 40):
            page.command("Input.dispatchKeyEvent", {"type": "keyDown", "key": "Tab", "windowsVirtualKeyCode": 9})
        never = f"{open_ones}.filter((one) => !('focused' in one.dataset)).map((one) => one.outerHTML.slice(0, 200))"
        page.settle()
        assert page.evaluate(never) == [], address
    page.close()


def test_a_decision_prints_on_one_page_with_all_its_pictures(browser: Browser, page_file: Path) -> None:
    """Pictures below the screen were grey on paper, and the heading stood on a page of its own."""
    page = browser.open(page_file, width=360, height=300)
    waiting = "document.querySelectorAll('canvas[data-lazy]').length"
    page.evaluate("globalThis.print = () => (globalThis.printed = true)")
    for address, most in (("#/decisions", 2), ("#/decision/3.0.0", 1), ("#/decision/m1.1", 1)):
        page.go(address)
        key = "new KeyboardEvent('keydown', { key: 'p', ctrlKey: true, bubbles: true })"
        page.evaluate(f"globalThis.printed = false; document.body.dispatchEvent({key})")
        page.wait("globalThis.printed")
        assert page.evaluate(waiting) == 0
        if address == "#/decisions":
            assert page.evaluate("document.querySelectorAll('.decision-card').length") == 15
        printed = base64.b64decode(page.command("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"])
        assert 0 < len(re.findall(rb"/Type\s*/Page\b", printed)) <= most
    page.evaluate(f"location.hash = '#/concept/{LAYER}/5'")
    page.wait("document.querySelector('article.concept')")
    assert page.evaluate(waiting) > 0
    page.wait(f"{waiting} === 0")  # after a while, for whoever prints from the menu
    _is_quiet(page)
    page.close()


def test_hostile_names_are_text(browser: Browser, tmp_path: Path) -> None:
    """Names that run, or turn the direction of what stands beside them, come from somebody's folder."""
    path = tmp_path / "hostile.html"
    content = made_up(names=HOSTILE)
    content = replace(content, names={LAYER: dict(enumerate(HOSTILE))})
    path.write_bytes(b"".join(one_file(packed(content))))
    page = browser.open(path, width=360)
    addresses = ["#/overview", "#/decisions", *(f"#/decision/{number}.{number}.0" for number in range(6))]
    addresses += ["#/decisions?verdict=missed", *(f"#/decision/m{number}.1" for number in range(3))]
    addresses += [f"#/concept/{LAYER}/{number}" for number in (*range(7), 9, 14)]  # named, from 6 on proposed
    addresses += ["#/audit", "#/compare?a=0.0.0&b=1.1.0", "#/concepts", "#/concepts?sort=name"]
    for address in addresses:
        page.go(address)
        assert page.evaluate("globalThis.hacked") is None
        assert page.evaluate("document.querySelectorAll('main img, main script').length") == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
    names = "[...document.querySelectorAll('table.classes tbody th a')].map((one) => one.textContent)"
    page.go("#/overview")
    assert sorted(page.evaluate(names)) == sorted(HOSTILE)
    typed = {"class": "<img src=x onerror=globalThis.hacked=9>", "names": '{"0.9":"<b>x"}'}
    page.go(f"#/concept/{LAYER}/9?{urlencode(typed)}")
    assert page.evaluate("document.querySelector('h1').textContent") == "<b>x (c9)"
    page.go("#/decisions?names=%7B%7B%7B&sort=__proto__")
    assert page.evaluate("document.querySelector('h1').textContent") == "Decisions"
    assert page.evaluate("globalThis.hacked") is None
    _is_quiet(page)
    page.close()


def test_misses_are_filtered_shown_and_linked(browser: Browser, page_file: Path) -> None:
    """A miss in the guise of a decision, maps of another one, or a link to a concept of another layer."""
    cards = "[...document.querySelectorAll('.decision-card')].map((one) => one.getAttribute('href').split('?')[0])"
    page = browser.open(page_file, height=3000, address="#/decisions")
    page.settle()
    assert "12 decisions and 3 misses" in page.evaluate("document.querySelector('main [role=status]').textContent")
    assert page.evaluate(cards)[-3:] == ["#/decision/m0.1", "#/decision/m1.1", "#/decision/m2.1"]
    chip = "[...document.querySelectorAll('.chip')].find((one) => one.textContent.startsWith('{}'))"
    page.evaluate(chip.format("misses") + ".click()")
    page.wait("document.querySelectorAll('.decision-card').length === 3")
    page.evaluate(chip.format("lost to a neighbour") + ".click()")
    page.wait("document.querySelectorAll('.decision-card').length === 1")
    assert page.evaluate(cards) == ["#/decision/m1.1"]
    page.evaluate(chip.format("hit") + ".click()")  # without the mechanism, which only misses have
    page.wait("document.querySelectorAll('.decision-card').length === 4")
    page.go("#/overview")
    found = "[...document.querySelectorAll('.errors tbody a')]"
    links = page.evaluate(found + ".map((one) => [one.textContent, one.hash])")
    assert ["kite", "#/decisions?verdict=missed&class=kite"] in links
    assert ["box off", "#/decisions?verdict=false+alarm&class=car&kind=box+off"] in links
    assert not any("class=kite&kind" in to for _, to in links)  # of which no false alarm is explained
    page.go("#/decisions?verdict=false+alarm&class=car&kind=box+off")
    assert page.evaluate(cards) == ["#/decision/1.1.0"]
    card = "document.querySelector('.decision-card')"
    assert "false alarm" in page.evaluate(card + ".textContent")
    assert "box off" in page.evaluate(card + ".textContent")
    page.go("#/decision/1.1.0")
    assert page.evaluate("document.querySelector('.badge').textContent") == "false alarm: box off"
    assert "box off (beside a car, IoU 0.43)" in page.evaluate("document.querySelector('.notes').textContent")
    page.go("#/decision/m1.1")
    wanted = made_up().misses[1].missed
    assert wanted is not None
    assert page.evaluate("document.querySelector('.lead').textContent") == f"{wanted.headline}."
    rows = "[...document.querySelectorAll('.carried p')].map((one) => one.textContent)"
    assert page.evaluate(rows) == [one.text for one in wanted.concepts]
    assert page.evaluate("document.querySelectorAll('.carried a').length") == 0  # its layer is not on the page
    assert page.evaluate("document.querySelectorAll('.frame .best, .frame .preferred').length") == 2
    page.press("2")
    concept = wanted.concepts[1].concept
    assert f"relevance through c{concept}," in page.evaluate("document.querySelector('figcaption').textContent")
    page.press("j")
    page.wait("location.hash === '#/decision/m2.1'")
    page.settle()
    assert page.evaluate("document.querySelectorAll('.carried a').length") == 4
    page.press("Escape")
    assert page.evaluate("location.hash") == "#/decisions?verdict=missed"
    _is_quiet(page)
    page.close()


def test_classes_that_are_judged_together_are_called_so(browser: Browser, tmp_path: Path) -> None:
    content = made_up()
    (audit,) = [one for one in content.findings if one.name == "audit"]
    verdicts, *rest = audit.tables
    together = replace(verdicts, columns={**verdicts.columns, "class_id": [0, -1, -1]})
    finding = replace(audit, tables=(together, *rest))
    path = tmp_path / "together.html"
    path.write_bytes(b"".join(one_file(packed(replace(content, findings=(finding,))))))
    page = browser.open(path, address="#/audit")
    told = page.evaluate("document.querySelector('.lead').textContent")
    assert told == (
        "Smaller classes together need their context: without it their scores fall by 0.20. "
        "Of smaller classes together this cannot be told."
    )
    page.close()


def test_an_audit_tells_verdicts_concepts_and_what_became_of_decisions(browser: Browser, page_file: Path) -> None:
    """A verdict of another class, or pictures with the scores of others, would accuse the wrong one."""
    page = browser.open(page_file, height=3000, address="#/overview")
    page.settle()
    page.evaluate("[...document.querySelectorAll('nav a')].find((one) => one.textContent === 'Audit').click()")
    page.settle()
    assert page.evaluate("location.hash") == "#/audit"
    rows = page.evaluate(
        "[...document.querySelectorAll('.verdicts tbody tr')].map((one) => [...one.children].map((cell) => "
        "cell.querySelector('a, .badge, .number, .small').textContent))"
    )
    assert rows == [
        ["kite", "needs its context", "0.20 0.15 to 0.25", "0.04", "50 % lost"],
        ["car", "cannot tell", "0.10 0.05 to 0.15", "0.04", "50 % lost"],
        ["boat", "does not", "0.00", "0.04", "50 % lost"],
    ]
    said = page.evaluate("document.querySelector('.verdicts svg').getAttribute('aria-label')")
    assert said == "difference 0.20 (0.15 to 0.25); the placebo costs 0.04"
    assert "kite needs its context" in page.evaluate("document.querySelector('.lead').textContent")
    objects = page.evaluate(
        "[...document.querySelectorAll('.swapped')].map((one) => [...one.querySelectorAll('li')].map((item) => "
        "[item.querySelector('canvas').title, item.querySelector('.number').textContent]))"
    )
    for shown, wanted in zip(objects, made_up().audited, strict=True):
        for (title, number), one in zip(shown, wanted.swapped, strict=True):
            assert title == f"{wanted.class_name}, {one.label}: {one.score:.2f}, {one.outcome}"
            assert number == f"{one.score:.2f}" + ("" if one.outcome == "kept" else f" {one.outcome}")
    text = "document.querySelector('main').textContent"
    assert "'kite': the score falls." in page.evaluate(text)
    assert "30 % below the threshold, 20 % no candidate left" in page.evaluate(text)
    assert "The placebo costs a decision 0.03 of its score." in page.evaluate(text)
    assert "without boatthe score falls by 0.20 (0.15 to 0.25)3 objects" in page.evaluate(text)
    told = page.evaluate("[...document.querySelectorAll('.carriers p')].map((one) => one.textContent)")
    assert [one.split(" in usual")[0] for one in told] == [
        "Together set to zero, these 2 concepts cost the score 0.30", "Alone, it costs 0.14", "Alone, it costs 0.01",
    ]  # fmt: skip
    assert "and \N{MINUS SIGN}0.02 in pictures without the class: the fall is smaller by 0.16 (0.05 to 0.20)" in told[1]
    page.evaluate("document.querySelector('.carriers a').click()")
    page.wait("location.hash.startsWith('#/concept/')")
    page.settle()
    assert page.evaluate("location.hash") == f"#/concept/{LAYER}/5?class=kite"
    assert "it carries a part of what the class needs" in page.evaluate(text)
    page.evaluate("document.querySelector('[aria-labelledby=without] a').click()")
    page.settle()
    assert page.evaluate("location.hash") == "#/audit?class=kite"
    assert page.evaluate("document.querySelectorAll('.audit section h2 bdi').length") == 1
    _is_quiet(page)
    page.close()


@pytest.mark.parametrize("is_made", [False, True])
def test_an_audit_that_was_not_made_has_no_view(browser: Browser, tmp_path: Path, is_made: bool) -> None:
    content = made_up()
    others = tuple(one for one in content.findings if one.name != "audit" or is_made)
    path = tmp_path / "page.html"
    path.write_bytes(b"".join(one_file(packed(replace(content, findings=others, audited=())))))
    page = browser.open(path)
    assert ("Audit" in page.evaluate("document.querySelector('nav').textContent")) == is_made
    page.go("#/audit?class=nothing")
    heading = "Does it need the context?" if is_made else "Nothing here"
    assert page.evaluate("document.querySelector('h1').textContent") == heading
    _is_quiet(page)
    page.close()


def test_names_are_typed_and_kept_in_the_address(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file, address=f"#/concept/{LAYER}/5")
    page.settle()
    page.evaluate("document.querySelector('#name').value = 'striped sail'")
    page.evaluate("document.querySelector('.naming button').click()")
    page.settle()
    assert page.evaluate("document.querySelector('h1').textContent") == "striped sail (c5)"
    address = page.evaluate("location.hash")
    page.go("#/overview?" + address.split("?")[1])
    assert "striped sail (c5)" in page.evaluate("document.querySelector('main').textContent")
    page.close()
    other = browser.open(page_file, address=address)
    assert other.evaluate("document.querySelector('h1').textContent") == "striped sail (c5)"
    other.close()


def test_proposed_names_are_told_as_such_and_can_be_accepted(browser: Browser, page_file: Path) -> None:
    """A name that nobody gave would pass for a person's; one that was accepted must be kept as one."""
    text = "document.querySelector('header .proposal')?.textContent ?? ''"
    page = browser.open(page_file, address=f"#/concept/{LAYER}/6")
    page.settle()
    assert page.evaluate("document.querySelector('h1').textContent") == "boat? (c6)"
    assert page.evaluate(text).startswith("Proposed name: boat, AUROC 0.56 (0.50 to 0.90) over 96 decisions")
    page.evaluate("document.querySelector('.proposal button').click()")
    page.settle()
    assert page.evaluate("document.querySelector('h1').textContent") == "boat (c6)"
    assert page.evaluate(text) == ""
    assert '"0.6":"boat"' in page.evaluate("decodeURIComponent(location.hash)")
    page.go(f"#/concept/{LAYER}/5")
    assert page.evaluate("document.querySelector('h1').textContent") == "c5"
    assert page.evaluate(text).startswith("No name fits (nearest: kite, AUROC 0.55 (0.50 to 0.90))")
    page.go(f"#/concept/{LAYER}/1")
    assert page.evaluate(text).startswith("No name fits of what is annotated")
    page.go(f"#/concept/{LAYER}/3")  # which a person named
    assert page.evaluate(text) == ""
    page.go("#/concept/backbone.other/6")  # where none were proposed
    assert page.evaluate(text) == ""
    _is_quiet(page)
    page.close()


def test_the_folder_opens_like_the_file(browser: Browser, tmp_path: Path) -> None:
    for name, content in folder_files(packed(made_up())):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    page = browser.open(tmp_path / "index.html", address="#/decision/0.0.0")
    for address in VIEWS.values():
        page.go(address)
        assert page.evaluate("document.querySelectorAll('[data-missing]').length") == 0
    assert page.messages == []
    assert all(one.startswith(tmp_path.as_uri()) for one in page.requests)
    page.close()


def test_concepts_are_listed_filtered_and_sorted(browser: Browser, page_file: Path) -> None:
    """The list in another order than is said, or with numbers of another class."""
    layer = made_up().layers[0]
    mean, context = layer.moments.mean(), layer.context
    assert context is not None
    cards = "[...document.querySelectorAll('.concept-card strong')]"
    numbers = cards + ".map((one) => Number(/c(\\d+)/.exec(one.textContent)[1]))"
    page = browser.open(page_file, width=1440, height=3000, address="#/overview")
    page.evaluate("document.querySelector('a[href=\"#/concepts\"]').click()")
    page.settle()
    assert page.evaluate(numbers) == np.argsort(-mean.max(axis=0), kind="stable").tolist()
    page.go("#/concepts?class=kite&share=0.01")
    wanted = [one for one in np.argsort(-mean[2], kind="stable").tolist() if mean[2, one] >= 0.01]
    assert page.evaluate(numbers) == wanted
    shown = page.evaluate(
        "[...document.querySelectorAll('.concept-card .first .number')].map((one) => one.textContent)"
    )
    assert shown == [f"{100 * mean[2, one]:.1f} %" for one in wanted]
    page.go("#/concepts?class=car&context=0.5&sort=context")
    of_class = context.class_id == 1
    known = dict(zip(context.concept[of_class].tolist(), context.context[of_class].tolist(), strict=True))
    assert page.evaluate(numbers) == sorted((one for one in known if known[one] >= 0.5), key=lambda one: -known[one])
    page.go("#/concepts?sort=name")
    labels = page.evaluate(cards + ".map((one) => one.textContent)")
    assert labels[0] == "boat (c3)"
    assert page.evaluate(numbers)[-2:] == sorted(page.evaluate(numbers)[-2:])
    page.go("#/concepts?named=true")
    assert page.evaluate(numbers) == [3]
    page.press("l")
    assert "layer=backbone.other" in page.evaluate("location.hash")
    page.go("#/concepts?sort=__proto__&class=nothing&layer=nothing")
    assert len(page.evaluate(numbers)) == 24
    _is_quiet(page)
    page.close()


def test_a_class_shows_its_own_samples(browser: Browser, page_file: Path) -> None:
    """The first samples over all classes, sorted out, are few or none for a class that counts less."""
    layer = made_up().layers[0]
    page = browser.open(page_file)
    for concept, class_id, name in ((6, 1, "car"), (7, 2, "kite")):
        page.go(f"#/concept/{LAYER}/{concept}?class={name}")
        listed = {*layer.of_class[concept, class_id], *layer.references[concept]}
        wanted = sorted((one for one in listed if one.class_id == class_id), key=lambda one: -one.score)
        shown = page.evaluate("[...document.querySelectorAll('.references canvas')].map((one) => one.title)")
        assert [one.split(", ")[-1] for one in shown] == [one.key for one in wanted]
        assert page.evaluate("document.querySelectorAll('.references .boxes').length") == sum(
            one.box is not None for one in wanted
        )
    assert (5, 0) not in layer.of_class
    page.go(f"#/concept/{LAYER}/5?class=boat")
    told = page.evaluate("document.querySelector('[aria-labelledby=references]').textContent")
    assert "Its own samples of this class are not in this file" in told
    page.go("#/compare")
    others = page.evaluate("document.querySelectorAll('[aria-labelledby=checkpoints] td canvas').length")
    assert others >= 3
    _is_quiet(page)
    page.close()


def test_numbers_of_the_page_are_those_of_the_content(browser: Browser, page_file: Path) -> None:
    """The program reading arrays at a wrong place, or with rows for columns, would show other numbers."""
    content = made_up()
    page = browser.open(page_file, address=f"#/concept/{LAYER}/5")
    page.settle()
    rows = page.evaluate(
        "[...document.querySelectorAll('[aria-labelledby=per-class] tbody tr')].map((one) => "
        "[one.querySelector('th').textContent, one.querySelector('td.number').textContent])"
    )
    mean = content.layers[0].moments.mean()[:, 5]
    wanted = {
        name: f"{100 * value:.1f} %".replace("-", "\N{MINUS SIGN}")
        for name, value in zip(content.class_names, mean, strict=True)
    }
    assert dict(rows) == wanted
    page.go(f"#/concept/{LAYER}/5")
    shown = page.evaluate("[...document.querySelectorAll('.references .number')].map((one) => one.textContent)")
    assert shown == [f"{100 * one.score:.0f} %" for one in content.layers[0].references[5]]
    page.go("#/decision/0.0.0")
    facts = content.decisions[0].facts
    told = page.evaluate("document.querySelector('.lead strong').textContent")
    assert told == f"{100 * facts['outside']:.0f} %"
    listed = page.evaluate("[...document.querySelectorAll('.carried .name')].map((one) => one.textContent)")
    assert [int(one.split("c")[-1].strip(")")) for one in listed] == [one["concept"] for one in facts["concepts"]]
    page.close()
