"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // Theme: follows the system until the button is pressed; remembered where storage is allowed.
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("emo-bench-theme"); } catch { return null; } };
  if (stored()) root.dataset.theme = stored();
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("emo-bench-theme", root.dataset.theme); } catch { /* opened without storage */ }
  });

  // Tooltips are text, never markup.
  const tip = $("tip");
  const place = (target) => {
    const box = target.getBoundingClientRect();
    const top = box.bottom + 8 + tip.offsetHeight > innerHeight ? box.top - tip.offsetHeight - 8 : box.bottom + 8;
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
    tip.style.setProperty("top", `${Math.max(8, top)}px`);
    tip.style.setProperty("left", `${left}px`);
  };
  const show = (event) => {
    const target = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
    if (!target || !target.dataset.tip) { tip.hidden = true; return; }
    tip.textContent = target.dataset.tip;
    tip.hidden = false;
    place(target);
  };
  document.addEventListener("mouseover", show);
  document.addEventListener("focusin", (event) => { if (event.target.matches?.(":focus-visible")) show(event); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });

  // Sorting: cells carry their key in data-v; cells without one stay at the end in both orders.
  const sortBy = (table, header, button) => {
    const index = header.cellIndex;
    const numeric = button.dataset.sort === "number";
    const first = button.dataset.first || "ascending";
    const now = header.getAttribute("aria-sort");
    const order = now ? (now === "ascending" ? "descending" : "ascending") : first;
    all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", order);
    table.classList.add("by-sort");
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => row.cells[index].dataset.v ?? row.cells[index].textContent;
    const rows = Array.from(table.tBodies[0].rows);
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y, undefined, { numeric: true }));
    });
    table.tBodies[0].append(...rows);
  };
  all("table.sortable").forEach((table) => all("thead button", table).forEach((button) => {
    button.addEventListener("click", () => sortBy(table, button.closest("th"), button));
  }));

  // Filters.
  const refresh = () => {
    const anchors = !$("anchors") || $("anchors").checked;
    const text = (name) => (document.querySelector(`.filter[data-for=${name}]`)?.value || "").trim().toLowerCase();
    const chosen = (name) => document.querySelector(`.pick[data-for=${name}]`)?.value || "";
    all("table[data-rows]").forEach((table) => {
      const words = text(table.dataset.rows || "rows");
      all("tbody tr", table).forEach((row) => {
        const matches = (row.dataset.name || "").toLowerCase().includes(words);
        row.hidden = !matches || (!anchors && row.classList.contains("anchor"));
      });
    });
    all("table[data-pick]").forEach((table) => {
      const wanted = chosen(table.dataset.pick);
      all("tbody tr", table).forEach((row) => { if (wanted && row.dataset.pick !== wanted) row.hidden = true; else if (!table.dataset.rows) row.hidden = false; });
    });
  };
  all(".filter, .pick, #anchors").forEach((control) => control.addEventListener("input", refresh));
  const narrow = () => document.body.classList.toggle("no-ci", $("intervals") !== null && !$("intervals").checked);
  $("intervals")?.addEventListener("input", narrow);
  const turn = (select) => all(".panel", select.closest("section")).forEach((panel) => { panel.hidden = panel.id !== select.value; });
  all(".panel-pick").forEach((select) => select.addEventListener("input", () => turn(select)));
  // Browsers bring back what controls were set to when a page is loaded again.
  addEventListener("pageshow", () => { refresh(); narrow(); all(".panel-pick").forEach(turn); });

  // Players.
  const source = $("players");
  if (!source) { all(".clip-link").forEach((link) => { link.disabled = true; }); return; }
  const data = JSON.parse(source.textContent);
  const urls = new Map();
  const urlOf = (index) => {
    if (!urls.has(index)) {
      const text = atob($(`video-${index}`).textContent.trim());
      const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
      urls.set(index, URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
    }
    return urls.get(index);
  };
  const stage = $("stage"), deck = $("deck"), seek = $("seek"), clock = $("time"), picker = $("clip");
  const speaker = "M3 7.5v5h3.2L11 16.5v-13L6.2 7.5zM13 7a4 4 0 0 1 0 6M14.8 4.8a7 7 0 0 1 0 10.4";
  let videos = [], audible = null, playing = false;
  // The clock: the player that is heard, or the longest one, so that no end is cut off.
  const master = () => videos.find((video) => video === audible && video.duration > length() - 0.05) || videos.find((video) => video.duration === length()) || videos[0];
  const length = () => Math.max(0, ...videos.map((video) => video.duration || 0));
  const element = (name, attributes = {}, ...children) => {
    const node = name === "svg" || name === "path" ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    node.append(...children);
    return node;
  };
  const listen = (video) => {
    audible = video;
    videos.forEach((other) => { other.muted = other !== video; other.closest(".tile").classList.toggle("audible", other === video); });
  };
  const setPlaying = (on) => {
    playing = on;
    deck.classList.toggle("playing", on);
    videos.forEach((video) => { if (on) video.play().catch(() => setPlaying(false)); else video.pause(); });
  };
  const seekTo = (seconds) => {
    const at = Math.min(Math.max(0, seconds), Math.max(0, length() - 0.001));
    videos.forEach((video) => { video.currentTime = Math.min(at, Math.max(0, (video.duration || 0) - 0.001)); });
    paint(at);
  };
  const paint = (at) => {
    const total = length();
    seek.value = total ? String(Math.round((1000 * at) / total)) : "0";
    clock.textContent = `${at.toFixed(2)} / ${total.toFixed(2)} s`;
  };
  const load = (number) => {
    setPlaying(false);
    picker.value = String(number);
    stage.replaceChildren();
    const count = data.clips[number].tiles.length;
    const heard = audible?.getAttribute("aria-label");
    // Rows of equal length: six or fewer stand in one row, more in two or more.
    stage.style.setProperty("--across", String(Math.ceil(count / Math.ceil(count / 6))));
    videos = [];
    data.clips[number].tiles.forEach((tile) => {
      const name = element("span", { title: tile.system }, element("bdi", {}, tile.system));
      const caption = element("figcaption", {}, name);
      const figure = element("figure", { class: `tile${tile.anchor ? " is-anchor" : ""}` });
      if (tile.video === null) {
        figure.append(element("div", { class: "gap" }, tile.reason || "no video"), caption);
      } else {
        const video = element("video", { playsinline: "", preload: "auto", "aria-label": tile.system });
        video.src = urlOf(tile.video);
        video.muted = true;
        const button = element("button", { type: "button", "aria-label": `Hear ${tile.system}` },
          element("svg", { viewBox: "0 0 20 20", width: "17", height: "17", fill: "none", stroke: "currentColor", "stroke-width": "1.6", "stroke-linejoin": "round", "stroke-linecap": "round" }, element("path", { d: speaker })));
        button.addEventListener("click", () => listen(video));
        video.addEventListener("loadedmetadata", () => paint(0));
        video.addEventListener("error", () => {
          videos = videos.filter((other) => other !== video);
          video.replaceWith(element("div", { class: "gap" }, "This browser cannot play this video (H.264)"));
          button.remove();
          figure.classList.remove("audible");
          if (audible === video && videos.length) listen(videos[0]);
        });
        video.addEventListener("click", () => setPlaying(!playing));
        caption.append(button);
        figure.append(video, caption);
        videos.push(video);
      }
      stage.append(figure);
    });
    if (videos.length) listen(videos.find((video) => video.getAttribute("aria-label") === heard) || videos[0]);
    $("speed").dispatchEvent(new Event("input"));
    paint(0);
  };
  // One clock: the player that is heard leads, the others are pulled to it when they drift by more than a frame or two.
  const tick = () => {
    if (playing && master()) {
      const lead = master();
      const at = lead.currentTime;
      videos.forEach((video) => {
        if (video !== lead && !video.ended && Math.abs(video.currentTime - at) > 0.08 && at < video.duration) video.currentTime = at;
      });
      paint(at);
      if (lead.ended || at >= length() - 0.005) { if ($("loop").checked) { seekTo(0); setPlaying(true); } else setPlaying(false); }
    }
    requestAnimationFrame(tick);
  };
  $("play").addEventListener("click", () => { if (!playing && master() && master().ended) seekTo(0); setPlaying(!playing); });
  // To the middle of a frame, so that rounding never shows its neighbour.
  const step = (frames) => {
    setPlaying(false);
    const frame = Math.floor((master()?.currentTime || 0) * data.fps + 1e-6) + frames;
    seekTo((Math.max(0, frame) + 0.5) / data.fps);
  };
  $("back").addEventListener("click", () => step(-1));
  $("forth").addEventListener("click", () => step(1));
  seek.addEventListener("input", () => seekTo((Number(seek.value) / 1000) * length()));
  $("speed").addEventListener("input", () => videos.forEach((video) => { video.playbackRate = Number($("speed").value); }));
  const move = (by) => load((Number(picker.value) + by + data.clips.length) % data.clips.length);
  $("prev").addEventListener("click", () => move(-1));
  $("next").addEventListener("click", () => move(1));
  picker.addEventListener("input", () => load(Number(picker.value)));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, textarea, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = $("section-clips").getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight) return;
    if (event.key === " ") { event.preventDefault(); setPlaying(!playing); }
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  const byName = new Map(data.clips.map((clip, index) => [clip.name, index]));
  all(".clip-link").forEach((link) => {
    const index = byName.get(link.dataset.clip);
    if (index === undefined) { link.disabled = true; return; }
    link.addEventListener("click", () => { load(index); $("section-clips").scrollIntoView(); });
  });
  load(0);
  requestAnimationFrame(tick);
})();
