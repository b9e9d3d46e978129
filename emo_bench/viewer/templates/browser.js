"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const node = (name, attributes = {}, ...children) => {
    const made = ["svg", "polyline", "line", "path"].includes(name) ? document.createElementNS(SVG, name) : document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...children);
    return made;
  };
  const TITLES = {
    identity: "identity: likeness to the reference image (cosine × 100)",
    sync_distance: "sync distance of mouth and sound without a shift; less is better",
  };
  const answered = await fetch("data.json");
  if (!answered.ok) { $("stage").append(node("p", { class: "empty" }, await answered.text())); return; }
  const data = await answered.json();
  const fps = data.fps;
  let order = [], chosen = -1, videos = [], audible = null, playing = false, frame = 0, charts = [], loading = 0;

  // Clips, worst first by the chosen value; those without one at the end.
  data.values.forEach((value, index) => $("value").append(node("option", { value: String(index) }, `${value.label} ${value.arrow}`)));
  if (!data.values.length) $("value").append(node("option", {}, "name"));
  const sort = () => {
    const by = Number($("value").value) || 0;
    const cost = (clip) => clip.costs[by] ?? -Infinity;
    order = data.clips.map((_, index) => index);
    if (data.values.length) order.sort((a, b) => cost(data.clips[b]) - cost(data.clips[a]) || a - b);
    $("clips").replaceChildren(...order.map((index) => {
      const clip = data.clips[index];
      const texts = Object.entries(clip.texts[by] || {}).filter(([name]) => !data.systems.find((s) => s.name === name)?.anchor);
      const button = node("button", { type: "button", "data-clip": String(index) }, node("bdi", {}, clip.name),
        node("small", { title: texts.map(([name, text]) => `${name} ${text}`).join("\n") }, texts.map(([, text]) => text).join(" · ")));
      button.addEventListener("click", () => load(index));
      return node("li", index === chosen ? { class: "on" } : {}, button);
    }));
  };

  const longest = () => Math.max(0, ...videos.map((video) => video.duration || 0));
  const frames = () => Math.max(1, Math.round(longest() * fps));
  // The clock: the player that is heard, or the longest one, so that no end is cut off.
  const lead = () => videos.find((video) => video === audible && video.duration > longest() - 0.5 / fps) || videos.find((video) => video.duration === longest()) || videos[0];
  const paint = () => {
    $("seek").max = String(frames() - 1);
    $("seek").value = String(frame);
    $("time").textContent = `frame ${frame} of ${frames()} · ${(frame / fps).toFixed(2)} s`;
    charts.forEach((chart) => chart(frame));
  };
  const to = (wanted) => {
    frame = Math.min(Math.max(0, wanted), frames() - 1);
    // The middle of a frame, so that rounding never shows its neighbour.
    videos.forEach((video) => { video.currentTime = Math.min((frame + 0.5) / fps, Math.max(0, (video.duration || 0) - 0.001)); });
    paint();
  };
  const play = (on) => {
    playing = on;
    $("deck").classList.toggle("playing", on);
    if (on && frame >= frames() - 1) to(0);
    videos.forEach((video) => { if (on) video.play().catch(() => play(false)); else video.pause(); });
    if (!on && videos.length) to(frame);
  };
  const hear = (video) => {
    audible = video;
    videos.forEach((other) => { other.muted = other !== video; other.closest(".tile").classList.toggle("audible", other === video); });
  };
  const tick = () => {
    const first = lead();
    if (playing && first) {
      videos.forEach((video) => { if (video !== first && !video.ended && Math.abs(video.currentTime - first.currentTime) > 1.5 / fps) video.currentTime = first.currentTime; });
      frame = Math.min(frames() - 1, Math.floor(first.currentTime * fps + 1e-6));
      paint();
      if (first.ended) play(false);
    }
    requestAnimationFrame(tick);
  };

  const ENDED = "The viewer has ended; start emo-bench view again.";
  const reasonOf = async (place) => {
    try {
      if ((await fetch(`${place}.mp4`, { method: "HEAD" })).ok) return "this browser cannot play this video (H.264)";
      const answer = await fetch(`${place}.json`);
      return answer.ok ? (await answer.json()).reason : await answer.text();
    } catch { return ENDED; }
  };

  const load = async (index) => {
    const turn = ++loading;
    play(false);
    chosen = index; frame = 0;
    const clip = data.clips[index];
    $("name").firstChild.textContent = clip.identity && clip.identity !== clip.name ? `${clip.name} · ${clip.identity}` : clip.name;
    Array.from($("clips").children).forEach((item) => item.classList.toggle("on", item.firstChild.dataset.clip === String(index)));
    $("clips").querySelector(".on")?.scrollIntoView({ block: "nearest" });
    videos = [];
    const by = Number($("value").value) || 0;
    $("stage").replaceChildren(...data.systems.map((system, number) => {
      const caption = node("figcaption", {}, node("span", { class: `s${number % 10}` }, node("bdi", {}, system.name)), node("small", {}, (clip.texts[by] || {})[system.name] || ""));
      const figure = node("figure", { class: `tile${system.anchor ? " is-anchor" : ""}`, "data-system": String(number) });
      const video = node("video", { playsinline: "", preload: "auto", "aria-label": system.name });
      video.muted = true;
      video.addEventListener("loadedmetadata", paint);
      video.addEventListener("click", () => hear(video));
      video.addEventListener("error", async () => {
        videos = videos.filter((other) => other !== video);
        const gap = node("div", { class: "gap" }, "no video");
        video.replaceWith(gap);
        figure.classList.remove("audible");
        if (audible === video && videos.length) hear(videos[0]);
        paint();
        gap.textContent = await reasonOf(`clip/${index}/${number}`);
      });
      video.src = `clip/${index}/${number}.mp4`;
      videos.push(video);
      figure.append(video, caption);
      return figure;
    }));
    hear(videos.find((video) => !video.closest(".tile").classList.contains("is-anchor")) || videos[0]);
    $("speed").dispatchEvent(new Event("input"));
    // Curves of the clip before must not stand under this one's name.
    charts = [];
    $("curves").replaceChildren();
    let found;
    try {
      const answer = await fetch(`curves/${index}.json`);
      if (!answer.ok) throw new Error(await answer.text());
      found = await answer.json();
    } catch (error) {
      if (turn === loading) $("curves").replaceChildren(node("p", { class: "note" }, error instanceof TypeError ? ENDED : error.message));
      return;
    }
    if (turn !== loading) return;
    $("curves").replaceChildren(...found.traces.map((curve) => chart(curve, true)), ...found.lags.map((curve) => chart(curve, false)));
    paint();
  };

  const offset = (frames) => `${frames > 0 ? "+" : ""}${String(frames).replace("-", "−")} ${Math.abs(frames) === 1 ? "frame" : "frames"}`;
  const digits = (value) => (Math.abs(value) < 1000 ? value.toPrecision(3) : value.toFixed(0)).replace("-", "−");

  // A chart: a line for each system and a cursor; a click goes to that frame.
  const chart = (curve, overTime) => {
    const names = Object.keys(curve.systems);
    const all = names.flatMap((name) => curve.systems[name]).filter((value) => value !== null);
    const low = Math.min(...all), high = Math.max(...all), count = Math.max(...names.map((name) => curve.systems[name].length), 2);
    const y = (value) => (high > low ? 96 - (92 * (value - low)) / (high - low) : 50).toFixed(1);
    const picture = node("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": curve.name });
    names.forEach((name) => {
      const number = data.systems.findIndex((system) => system.name === name);
      let piece = [];
      const flush = () => { if (piece.length > 1) picture.append(node("polyline", { points: piece.join(" "), class: `l${number % 10}${data.systems[number]?.anchor ? " thin" : ""}` })); piece = []; };
      curve.systems[name].forEach((value, at) => { if (value === null) flush(); else piece.push(`${((1000 * at) / (count - 1)).toFixed(1)},${y(value)}`); });
      flush();
    });
    const numbers = node("p", { class: "numbers" });
    const title = overTime ? TITLES[curve.name] || curve.name.replaceAll("_", " ") : `${curve.name.replace("lag:", "")}: agreement of mouth and sound over their offset`;
    const box = node("figure", { class: "curve", "data-curve": curve.name }, node("figcaption", {}, title), picture, numbers);
    if (overTime) {
      const cursor = node("line", { class: "cursor", y1: "0", y2: "100" });
      picture.append(cursor);
      picture.addEventListener("click", (event) => {
        const area = picture.getBoundingClientRect();
        play(false);
        to(Math.round(((event.clientX - area.left) / area.width) * (count - 1) * fps / curve.fps));
      });
      charts.push((at) => {
        const place = Math.min(count - 1, Math.round((at * curve.fps) / fps));
        const x = ((1000 * place) / (count - 1)).toFixed(1);
        cursor.setAttribute("x1", x); cursor.setAttribute("x2", x);
        numbers.replaceChildren(...names.map((name) => {
          const value = curve.systems[name][place];
          const number = data.systems.findIndex((system) => system.name === name);
          return node("span", { class: `s${number % 10}` }, node("bdi", {}, name), ` ${value === null || value === undefined ? "–" : digits(value)}`);
        }));
      });
    } else {
      const half = (count - 1) / 2;
      picture.append(node("line", { class: "zero", x1: "500", x2: "500", y1: "0", y2: "100" }));
      numbers.replaceChildren(...names.map((name) => {
        const values = curve.systems[name];
        const best = values.reduce((top, value, at) => (value !== null && (top < 0 || value > values[top]) ? at : top), -1);
        const number = data.systems.findIndex((system) => system.name === name);
        return node("span", { class: `s${number % 10}` }, node("bdi", {}, name), best < 0 ? " –" : ` best at ${offset(best - half)}`);
      }));
    }
    return box;
  };

  $("value").addEventListener("input", () => { sort(); if (order.length) load(order[0]); });
  $("play").addEventListener("click", () => play(!playing));
  $("back").addEventListener("click", () => { play(false); to(frame - 1); });
  $("forth").addEventListener("click", () => { play(false); to(frame + 1); });
  $("seek").addEventListener("input", () => { play(false); to(Number($("seek").value)); });
  $("speed").addEventListener("input", () => videos.forEach((video) => { video.playbackRate = Number($("speed").value); }));
  const showAnchors = () => document.body.classList.toggle("no-anchors", !$("anchors").checked);
  $("anchors").addEventListener("input", showAnchors);
  showAnchors(); // the browser may have brought back what it was
  $("actual").addEventListener("click", () => $("actual").setAttribute("aria-pressed", String(document.body.classList.toggle("actual"))));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("select, input[type=range]") || (event.key === " " && event.target.closest("input, .tools button, .deck button")) || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = (by) => { const at = order.indexOf(chosen) + by; if (at >= 0 && at < order.length) load(order[at]); };
    const keys = { " ": () => play(!playing), ArrowLeft: () => { play(false); to(frame - 1); }, ArrowRight: () => { play(false); to(frame + 1); }, ArrowUp: () => move(-1), ArrowDown: () => move(1) };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  sort();
  if (order.length) load(order[0]);
  requestAnimationFrame(tick);
})();
