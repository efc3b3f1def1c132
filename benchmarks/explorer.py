"""How fast the explorer's page is, on made-up sets: python benchmarks/explorer.py (needs Chromium; no network).

2,000 concepts with 12 references and 500 decisions, as one file and as a folder: first paint, the median of 20 actions
of each kind, and the memory of the page's process.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "worlds"))

from chromium import Browser, Page, browsing
from made_up_page import LAYER, made_up

from lcrp.page.html import folder_files, one_file
from lcrp.page.pack import packed

REPEATS = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concepts", type=int, default=2000)
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--megabytes", type=float, default=64.0, help="stage.max_megabytes")
    arguments = parser.parse_args()
    content = made_up(num_concepts=arguments.concepts, num_references=12, num_decisions=arguments.decisions)
    page = packed(replace(content, layers=content.layers[:1]), arguments.megabytes * 1e6)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.html"
        file.write_bytes(b"".join(one_file(page)))
        for name, content_of in folder_files(page):
            (Path(folder) / "audit" / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / "audit" / name).write_bytes(content_of)
        size = file.stat().st_size / 1e6
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        print(f"{arguments.concepts} concepts x 12, {arguments.decisions} decisions: {size:.1f} MB; load {load}")
        for name, path in (("one file", file), ("folder", Path(folder) / "audit" / "index.html")):
            _measure(name, path, arguments.concepts, arguments.decisions)


def _measure(name: str, path: Path, num_concepts: int, num_decisions: int) -> None:
    with browsing() as browser:
        paints = [_first_paint(browser, path) for _ in range(3)]
        print(f"{name}: first contentful paint {statistics.median(paints):.0f} ms, of {[round(one) for one in paints]}")
        page = browser.open(path)
        page.settle()
        steps = range(REPEATS)
        decisions = range(0, num_decisions, max(1, num_decisions // REPEATS))
        actions = {
            "to a decision": [f"#/decision/{number}.{number % 3}.0" for number in decisions],
            "to a concept": [f"#/concept/{LAYER}/{number * (num_concepts // REPEATS)}" for number in steps],
            "filter decisions": [f"#/decisions?outside={number / REPEATS}" for number in steps],
            "sort decisions": [f"#/decisions?sort={('outside', 'inside')[number % 2]}&x={number}" for number in steps],
            "decisions of a concept": [f"#/decisions?concept={number * 7}" for number in steps],
            "overview": [("#/overview", "#/decisions")[number % 2] for number in range(2 * REPEATS)],
            "list concepts": [f"#/concepts?sort={('context', 'name')[number % 2]}&x={number}" for number in steps],
            "compare": [f"#/compare?a=0.0.0&b={3 * number}.0.0" for number in steps],
        }
        for action, addresses in actions.items():
            times = [_action(page, address) for address in addresses]
            if action == "overview":
                times = times[::2]
            print(f"{name}: {action}: median {statistics.median(times):.0f} ms, most {max(times):.0f} ms")
        times = [_search(page, f"c{number * 41 % num_concepts}") for number in steps]
        print(f"{name}: search: median {statistics.median(times):.0f} ms")
        page.go("#/decisions")
        times = [_scroll(page, number * 2000) for number in steps]
        print(f"{name}: scroll: median {statistics.median(times):.0f} ms")
        now, most = _memory(browser)
        print(f"{name}: memory {now:.0f} MB, most {most:.0f} MB, JavaScript heap {_heap(page):.0f} MB; {page.messages}")


def _first_paint(browser: Browser, path: Path) -> float:
    page = browser.open(path)
    page.wait("performance.getEntriesByName('first-contentful-paint').length")
    found = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    page.close()
    return float(found)


_FRAME = "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0)))"


def _action(page: Page, address: str) -> float:
    """Milliseconds from a change of the address to the end of the frame after it was told."""
    script = (
        "new Promise((told) => { const start = performance.now(); "
        f"addEventListener('hashchange', () => {_FRAME}.then(told), {{ once: true }}); location.hash = {address!r}; }})"
    )
    if page.evaluate("location.hash") == address:
        return 0.0
    found = float(page.evaluate(script))
    time.sleep(0.05)
    return found


def _search(page: Page, text: str) -> float:
    script = (
        f"(() => {{ const start = performance.now(); const field = document.querySelector('input[type=search]'); "
        f"field.value = {text!r}; field.dispatchEvent(new Event('input')); return {_FRAME}; }})()"
    )
    return float(page.evaluate(script))


def _scroll(page: Page, top: int) -> float:
    return float(
        page.evaluate(f"(() => {{ const start = performance.now(); scrollTo(0, {top}); return {_FRAME}; }})()")
    )


def _heap(page: Page) -> float:
    return float(page.evaluate("performance.memory.usedJSHeapSize")) / 1e6


def _memory(browser: Browser) -> tuple[float, float]:
    """Resident memory of the largest of the browser's renderers, now and at most, in MB."""
    sizes = []
    for process in browser.command("SystemInfo.getProcessInfo")["processInfo"]:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text(encoding="utf-8")
            sizes.append([int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")])
    now, most = max(sizes)
    return now, most


if __name__ == "__main__":
    main()
