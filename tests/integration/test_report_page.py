# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of findings and charts as a real Chromium shows it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.charts import parse_charts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import measures
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import SEVERITY, Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.report import Report, render

DARK, LIGHT = 0, 1
#: WCAG 2.1, contrast (minimum), level AA.
CONTRAST = 4.5
LONG = "replica chi-langsmith-langsmith-0-2.langsmith.svc.cluster.local: a rather long name"
MEASURES = [
    {
        "subject": f"chi-langsmith-langsmith-0-{number}:8123",
        "memory_used_gib": 20 + 4.4 * number,
        "memory_limit_gib": 28.8,
        "queries": 12,
        "queries_limit": 500,
        "disk_used_gib": 600 + 90 * number,
        "disk_total_gib": 983.1,
        "parts": 120 + 400 * number,
        "parts_in": "default.runs",
        "parts_limit": 1000,
        "merges": 7 + 4 * number,
        "merges_limit": 16,
        "growth_gib_per_day": 12.5,
        "days_to_full": (383.1 - 90 * number) / 12.5,
    }
    for number in range(3)
]
CHARTS = parse_charts(
    [
        *measures.charts(MEASURES),
        {
            "kind": "histogram",
            "title": "Accepted",
            "unit": "s",
            "buckets": [
                {"from": low, "to": high, "count": count}
                for low, high, count in ((0, 0.01, 9), (0.01, 0.02, 812), (0.02, 0.05, 44), (0.05, 1, 3), (1, 12, 1))
            ],
            "marks": [{"label": f"p{share}", "at": at} for share, at in ((50, 0.014), (95, 0.031), (99, 0.04))]
            + [{"label": "threshold of p95", "at": 60}],
        },
        {
            "kind": "bars",
            "title": "Headroom",
            "unit": "GiB",
            "bars": [
                {"label": LONG, "value": value, "limit": 12345.6, "warn": 8641.92, "fail": 10493.76, "note": "gp3"}
                for value in (1234.5, 9000.1, 12000.2, 20000)
            ],
        },
        {
            "kind": "histogram",
            "title": "Visible",
            "unit": "s",
            "buckets": [{"from": low, "to": low + 1, "count": (low * 7) % 13} for low in range(30)],
            "marks": [{"label": f"p{share}", "at": at} for share, at in ((50, 15), (95, 28), (99, 29.5))],
        },
        {
            "kind": "lines",
            "title": "Forecast",
            "unit": "GiB",
            "x_unit": "days",
            "series": [{"label": LONG, "points": [[day, day * slope] for day in range(60)]} for slope in range(1, 7)],
            "marks": [{"label": "full", "axis": "y", "at": 330}, {"label": "full in 55 days", "at": 55}],
        },
        {
            "kind": "timeline",
            "title": "Stages",
            "unit": "s",
            "spans": [
                {"label": status, "from": number, "to": number + 1.5, "status": status}
                for number, status in enumerate(SEVERITY)
            ],
        },
    ]
)
FINDINGS = tuple(
    Finding(f"clickhouse.{status}", status, "clickhouse", "h:8123", "seen <script>x()</script>", "that", "do this")
    for status in SEVERITY
)
NOTES = (("Pressure", ("Reads: some. Writes: none.", f"{LONG}: 120 queries at the same time", "Add replicas." * 20)),)

# Runs in the page: what overflows, which texts are too faint, what was fetched from elsewhere.
LOOK = r"""
<script>
function luminance(c){const f=c.map(v=>{v/=255;return v<=0.03928?v/12.92:Math.pow((v+0.055)/1.055,2.4)});
  return 0.2126*f[0]+0.7152*f[1]+0.0722*f[2]}
function rgb(s){const m=s.match(/[\d.]+/g).map(Number);return m.length>3&&m[3]===0?null:m.slice(0,3)}
function behind(e){for(;e;e=e.parentElement){const c=rgb(getComputedStyle(e).backgroundColor);if(c)return c}
  return [255,255,255]}
function contrast(a,b){const x=luminance(a),y=luminance(b);return (Math.max(x,y)+0.05)/(Math.min(x,y)+0.05)}
addEventListener('load',()=>{
  document.querySelectorAll('details').forEach(d=>d.open=true);
  const told={texts:0,faint:[],outside:[],crossing:[],scheme:matchMedia('(prefers-color-scheme: dark)').matches,
    wide:document.documentElement.scrollWidth-document.documentElement.clientWidth,
    fetched:performance.getEntriesByType('resource').map(r=>r.name),
    background:getComputedStyle(document.body).backgroundColor};
  document.querySelectorAll('svg text,h1,h2,p,li,dt,dd,summary *,figcaption,td,th,.badge').forEach(e=>{
    if(!e.textContent.trim())return;
    const svg=e.closest('svg'),colour=rgb(getComputedStyle(e)[svg?'fill':'color']);
    const ratio=contrast(colour,behind(svg||e));told.texts++;
    if(ratio<4.5)told.faint.push([e.textContent,ratio]);
    if(svg){const a=e.getBoundingClientRect(),b=svg.getBoundingClientRect();
      if(a.left<b.left-1||a.right>b.right+1||a.top<b.top-1||a.bottom>b.bottom+1)told.outside.push(e.textContent)}
  });
  document.querySelectorAll('figure').forEach(f=>{
    const labels=[...f.querySelectorAll('svg text')].map(t=>[t.textContent,t.getBoundingClientRect()]);
    labels.forEach(([s,a],i)=>labels.slice(i+1).forEach(([t,b])=>{
      if(a.left<b.right-1&&b.left<a.right-1&&a.top<b.bottom-2&&b.top<a.bottom-2)told.crossing.push([s,t])}));
  });
  const out=document.createElement('pre');out.id='told';out.textContent=JSON.stringify(told);document.body.append(out);
});
</script>
"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not found and not os.environ.get("CHROMIUM_REQUIRED"):
        pytest.skip("there is no Chromium on PATH; Debian's package is chromium")
    assert found, "CHROMIUM_REQUIRED is set and there is no Chromium on PATH"
    return found


def look(chromium: str, folder: Path, scheme: int, width: int) -> dict[str, Any]:
    """What the browser tells of the page, with everything of it opened."""
    page = folder / "report.html"
    report = Report("Sizing", "acme-prod", FINDINGS, {"auth": 0.5}, (("network", 3.0),), CHARTS, NOTES)
    source = render(report, "html")
    page.write_text(source.replace("</body>", LOOK + "</body>"))
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
    sandboxed = [] if os.geteuid() else ["--no-sandbox"]
    argv = [chromium, "--headless", *quiet, *sandboxed, f"--user-data-dir={folder / 'profile'}"]
    argv += [f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},1200", "--dump-dom"]
    done = subprocess.run([*argv, page.as_uri()], capture_output=True, text=True, timeout=300, check=True)
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(html.unescape(told[1]))
    return result


@pytest.mark.parametrize("width", [1200, 600])
@pytest.mark.parametrize("scheme", [DARK, LIGHT], ids=["dark", "light"])
def test_the_page_is_readable(chromium: str, tmp_path: Path, scheme: int, width: int) -> None:
    told = look(chromium, tmp_path, scheme, width)
    assert told["scheme"] == (scheme == DARK)
    assert told["texts"] > 100
    assert told["faint"] == [], f"below a contrast of {CONTRAST}"
    assert told["outside"] == []
    assert told["crossing"] == []
    assert told["wide"] <= 0
    assert told["fetched"] == []


def test_dark_and_light_differ(chromium: str, tmp_path: Path) -> None:
    assert look(chromium, tmp_path, DARK, 900)["background"] != look(chromium, tmp_path, LIGHT, 900)["background"]
