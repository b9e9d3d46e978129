"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const node = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const ago = (seconds) => seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
  const words = (run) => {
    if (run.state === "unreadable") return run.problem;
    if (run.state === "finished") return `${run.systems} ${run.systems === 1 ? "system" : "systems"}, ${run.clips} ${run.clips === 1 ? "clip" : "clips"}, finished ${run.finished}`;
    const still = run.state === "quiet" && run.quiet_s !== null ? ` · nothing happened for ${ago(run.quiet_s)}; it may have been stopped` : "";
    return `${run.stage || "starting"} · ${run.last}${still}`;
  };
  const card = (run) => {
    const open = run.state === "finished";
    const made = node(open ? "a" : "div", `card run-card is-${run.state}`);
    if (open) made.href = `run/${run.id}/`;
    const head = node("div", "run-head");
    head.append(node("h2", "", run.title || run.place), node("span", `verdict ${run.state === "finished" && run.status === "complete" ? "v-win" : run.state === "unreadable" ? "v-bad" : ""}`, run.state === "finished" ? run.status : run.state));
    const share = run.total ? Math.min(1, run.done / run.total) : 0;
    const track = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    track.setAttribute("viewBox", "0 0 1000 8");
    track.setAttribute("preserveAspectRatio", "none");
    const bar = (kind, width) => {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      rect.setAttribute("class", kind);
      rect.setAttribute("width", String(Math.round(1000 * width)));
      rect.setAttribute("height", "8");
      track.append(rect);
    };
    bar("track", 1);
    bar("good", share);
    const count = run.total ? `${run.done} of ${run.total} clips${run.failed ? `, ${run.failed} failed` : ""}` : "";
    const line = node("div", "coverage");
    line.append(track, node("p", "", count));
    made.append(head, node("p", "place", run.place), line, node("p", "what", words(run)));
    return made;
  };
  let shown = "", next = 0;
  const look = async () => {
    clearTimeout(next);
    try {
      const answer = await fetch("runs.json");
      const text = await answer.text();
      if (text !== shown) {
        shown = text;
        const runs = JSON.parse(text);
        $("runs").replaceChildren(...runs.map(card));
        $("none").hidden = runs.length > 0;
      }
      $("lost").hidden = true;
    } catch { $("lost").hidden = false; }
    // A page that nobody sees asks for nothing.
    if (!document.hidden) next = setTimeout(look, 2000);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
})();
