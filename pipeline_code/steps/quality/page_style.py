"""The look of the report's page: light and dark, phone and desk, paper."""

CSS = """
:root { --ink:#1d2433; --soft:#4d5870; --line:#d8dde8; --paper:#ffffff; --panel:#f6f7fb; --blue:#3b5bdb;
 --orange:#96560a; --red:#b23b38; --green:#27693f; color-scheme:light dark; }
@media (prefers-color-scheme:dark) { :root { --ink:#e7eaf3; --soft:#a6afc4; --line:#333b4f; --paper:#141925;
 --panel:#1b2130; --blue:#8ea4ff; --orange:#e3a857; --red:#ee8f8b; --green:#7fcf9f; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--paper); color:var(--ink);
 font:16px/1.55 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif; overflow-wrap:break-word; }
bdi,code { overflow-wrap:anywhere; }
main { max-width:1080px; margin:0 auto; padding:28px 20px 64px; }
.patterns { position:absolute; }
.kicker { color:var(--soft); margin:0 0 .6em; max-width:none; }
h1 { font-size:clamp(1.4rem,4vw,2rem); line-height:1.25; margin:.35em 0 .4em; max-width:30em; }
h2 { font-size:1.25rem; margin:2.2em 0 .5em; } h3 { font-size:1.02rem; margin:0; }
p { margin:.4em 0; max-width:46em; } .muted,.note { color:var(--soft); } .note { font-size:.92rem; }
.badge { display:inline-block; padding:2px 12px; border-radius:999px; border:1.5px solid currentColor;
 font-size:.86rem; font-weight:600; white-space:nowrap; }
.badge.ok { color:var(--green); } .badge.drift { color:var(--orange); } .badge.violation { color:var(--red); }
.facts { display:grid; grid-template-columns:repeat(auto-fit,minmax(135px,1fr)); gap:12px; margin:22px 0; padding:0;
 list-style:none; }
.facts li { background:var(--panel); border:1px solid var(--line); border-radius:10px; padding:12px 14px; }
.facts strong { display:block; font-size:1.45rem; line-height:1.2; }
.facts span { display:block; color:var(--soft); font-size:.86rem; line-height:1.4; }
.next { border-left:4px solid var(--blue); background:var(--panel); padding:4px 18px 12px; margin:22px 0;
 border-radius:0 10px 10px 0; }
.next h2 { margin:.6em 0 .2em; } .next ul { padding-left:1.2em; margin:.3em 0; } .next li { margin:.3em 0; }
code { font:.88em ui-monospace,Menlo,Consolas,monospace; }
.table { overflow-x:auto; } table { border-collapse:collapse; width:100%; font-size:.92rem; }
caption { text-align:left; color:var(--soft); font-size:.92rem; padding:0 0 .4em; }
th,td { text-align:left; padding:7px 12px 7px 0; border-bottom:1px solid var(--line); vertical-align:top; }
thead th { color:var(--soft); font-weight:600; } tbody th { font-weight:600; }
.n { text-align:right; font-variant-numeric:tabular-nums; white-space:nowrap; }
tr.drifted th,tr.drifted .far { color:var(--orange); font-weight:600; }
.distance { min-width:110px; width:26%; }
.gauge { display:block; position:relative; height:12px; margin-top:6px; background:var(--panel);
 border:1px solid var(--line); border-radius:4px; overflow:hidden; }
.gauge i { display:block; height:100%; background:var(--blue); } .drifted .gauge i { background:var(--orange); }
.gauge b { position:absolute; top:0; bottom:0; width:2px; background:var(--ink); }
.cards { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr)); gap:16px; }
.card { border:1px solid var(--line); border-radius:10px; padding:12px 14px; min-width:0; break-inside:avoid; }
.card header { display:flex; flex-wrap:wrap; gap:2px 10px; justify-content:space-between; align-items:baseline; }
.card p { font-size:.9rem; color:var(--soft); } .card.drifted { border-color:var(--orange); border-width:2px; }
.card .state { font-size:.86rem; font-weight:600; white-space:nowrap; } .card.drifted .state { color:var(--orange); }
.card:not(.drifted) .state { color:var(--soft); }
.chart { display:block; width:100%; max-width:460px; height:auto; margin:6px 0 2px; }
.chart text { font-size:11px; fill:var(--soft); } .chart text.small { font-size:9.5px; }
.chart text.label { fill:var(--ink); }
.grid { stroke:var(--line); } .limit { stroke:var(--soft); stroke-dasharray:3 3; } .hatching { stroke:var(--soft); }
.was { fill:url(#hatch); stroke:var(--soft); stroke-width:1; } .was-area { fill:url(#hatch); opacity:.55; }
.was-line { fill:none; stroke:var(--soft); stroke-width:1.5; stroke-dasharray:5 3; }
.now { fill:var(--blue); } .now-line { fill:none; stroke:var(--blue); stroke-width:2.2; }
.drifted .now { fill:var(--orange); } .drifted .now-line { stroke:var(--orange); }
.trend { fill:none; stroke:var(--soft); stroke-width:1.4; }
.mark { stroke-width:2; fill:none; } .mark.ok { fill:var(--green); } .mark.drift { fill:var(--orange); }
.mark.violation { stroke:var(--red); }
.legend { list-style:none; display:flex; flex-wrap:wrap; gap:2px 20px; padding:0; margin:6px 0 12px; font-size:.9rem; }
.legend svg { vertical-align:middle; }
details { margin:6px 0; } .more { margin-top:16px; }
summary { cursor:pointer; color:var(--soft); font-size:.9rem; padding:4px 0; }
summary:focus-visible { outline:2px solid var(--blue); outline-offset:2px; }
.more > summary { font-size:1rem; color:var(--ink); border:1px solid var(--line); border-radius:8px;
 padding:10px 14px; margin-bottom:12px; }
footer { margin-top:3em; color:var(--soft); font-size:.88rem; border-top:1px solid var(--line); padding-top:1em; }
@media (max-width:560px) { main { padding:18px 14px 48px; } .wide { display:none; } th,td { padding-right:8px; } }
@media print {
 :root { --ink:#000; --soft:#444; --line:#bbb; --paper:#fff; --panel:#fff; --blue:#27408b; --orange:#7a4305;
  --red:#8f2320; --green:#1f5433; color-scheme:light; }
 main { max-width:none; padding:0; } h2,h3 { break-after:avoid; } tr,.next,.facts li { break-inside:avoid; }
 .cards { grid-template-columns:1fr 1fr; } body { font-size:11pt; } .gauge i,.badge,.mark { print-color-adjust:exact; }
 .table { overflow:visible; } .card details { display:none; }
}
""".strip()
