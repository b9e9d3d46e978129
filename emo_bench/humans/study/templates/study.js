"use strict";
(() => {
  const design = JSON.parse(document.getElementById("design").textContent);
  const pairs = design.kind === "pairs";
  const by = (id) => document.getElementById(id);
  const prefix = `emo-study:${design.study}:`;
  const SEEN = 0.97; // share of a clip that counts as watched to its end
  let state = null;
  let clips = [];
  let current = 0; // question that the keyboard answers
  let began = 0;
  let plays = []; // how often each clip of this screen was watched to its end
  let isKept = true; // whether the browser holds what was answered

  // ---- what is kept -------------------------------------------------------------------------------------------
  const stored = (rater) => {
    try {
      const text = localStorage.getItem(prefix + rater);
      return text ? JSON.parse(text) : null;
    } catch { return null; }
  };
  const keep = () => {
    try {
      localStorage.setItem(prefix + state.rater, JSON.stringify(state));
      localStorage.setItem(`${prefix}:last`, state.rater); // no code of a rater has a colon
      isKept = true;
    } catch {
      isKept = false;
      by("trouble").textContent = "This browser keeps nothing (a private window?). Save your answers before you close the page.";
    }
    by("trouble").hidden = isKept;
  };
  // Another window of the same rater may have answered since: nothing of it may be written over.
  const refresh = () => {
    const other = isKept ? stored(state.rater) : null;
    if (other && other.form === state.form) state = { ...state, answers: other.answers, saved: other.saved };
  };
  const last = () => {
    try { return localStorage.getItem(`${prefix}:last`); } catch { return null; }
  };
  const random = (n) => [...crypto.getRandomValues(new Uint8Array(n))].map((b) => (b % 36).toString(36)).join("");
  const asked = new URLSearchParams(location.search);

  const fresh = (rater) => {
    const wanted = Number.parseInt(asked.get("form") ?? "", 10);
    const dealt = crypto.getRandomValues(new Uint32Array(1))[0] % design.forms.length;
    const form = Number.isInteger(wanted) && wanted >= 0 && wanted < design.forms.length ? wanted : dealt;
    return { rater, form, started: new Date().toISOString(), at: 0, answers: {}, saved: false };
  };
  const form = () => design.forms[state.form];
  const answerOf = (trial) => state.answers[trial] ?? { choices: {}, seconds: 0, plays: pairs ? [0, 0] : [0] };
  const isWhole = (answer) => design.questions.every((q) => answer.choices[q.key] !== undefined);
  const isAnswered = (trial) => isWhole(answerOf(trial));

  // ---- start --------------------------------------------------------------------------------------------------
  const show = (id) => {
    for (const name of ["start", "trial", "done"]) by(name).hidden = name !== id;
    scrollTo(0, 0);
  };
  const progress = () => {
    const total = state ? form().length : 0;
    const n = state ? form().filter(([id]) => isAnswered(id)).length : 0;
    const share = total ? Math.round((100 * n) / total) : 0;
    by("bar").style.width = `${share}%`;
    by("bar").parentElement.setAttribute("aria-valuenow", String(share));
    by("count").textContent = state ? `${Math.min(state.at + 1, total)} of ${total}` : "";
  };
  const code = () => by("rater").value.trim().replace(/[^\w.-]/g, "").slice(0, 32);
  const greet = () => {
    const known = stored(code());
    by("again").hidden = !known;
    by("begin").textContent = known ? "Go on" : "Begin";
    if (known) {
      const n = Object.values(known.answers).filter(isWhole).length;
      by("again").textContent = `Welcome back: ${n} of ${design.forms[known.form].length} screens are answered.`;
    }
  };
  by("rater").value = asked.get("rater") ?? last() ?? random(8);
  by("rater").addEventListener("input", greet);
  by("begin").addEventListener("click", () => {
    const rater = code() || random(8);
    by("rater").value = rater;
    state = stored(rater) ?? fresh(rater);
    keep();
    open(state.at);
  });

  // ---- a trial ------------------------------------------------------------------------------------------------
  const panel = (name, index) => {
    const box = document.createElement("div");
    box.className = "clip";
    box.tabIndex = 0;
    box.setAttribute("role", "button");
    box.setAttribute("aria-label", pairs ? `Play clip ${"AB"[index]}` : "Play the clip");
    const video = document.createElement("video");
    video.src = `media/${name}.mp4`;
    video.preload = "auto";
    video.playsInline = true;
    const play = document.createElement("span");
    play.className = "play";
    box.append(video, play);
    if (pairs) {
      const tag = document.createElement("span");
      tag.className = "tag";
      tag.textContent = "AB"[index];
      box.append(tag);
    }
    const clip = { box, video, ended: plays[index] > 0, index, passed: false };
    const mark = () => {
      let seen = box.querySelector(".seen");
      if (!clip.ended) return;
      if (!seen) { seen = document.createElement("span"); seen.className = "seen"; box.append(seen); }
      seen.textContent = "seen";
    };
    // The last frame may come a little before the end of the sound; each time through counts once.
    const watched = (end) => {
      if (isBroken(clip)) return;
      const over = end || (video.duration > 0 && video.currentTime / video.duration >= SEEN);
      if (over && !clip.passed) { clip.ended = true; plays[index] += 1; mark(); ready(); }
      clip.passed = over;
    };
    video.addEventListener("ended", () => { box.classList.remove("playing"); watched(true); });
    video.addEventListener("timeupdate", () => watched(video.ended));
    video.addEventListener("pause", () => box.classList.remove("playing"));
    video.addEventListener("play", () => box.classList.add("playing"));
    video.addEventListener("waiting", () => box.classList.add("waiting"));
    for (const name of ["playing", "pause", "error"]) video.addEventListener(name, () => box.classList.remove("waiting"));
    // A clip that cannot be shown must not block the study; its answers are marked by zero plays.
    const fail = () => { box.classList.add("broken"); clip.ended = true; ready(); };
    video.addEventListener("error", fail);
    video.addEventListener("loadedmetadata", () => { if (!video.videoWidth) { video.pause(); fail(); } }); // sound alone
    box.addEventListener("click", () => toggle(index));
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) toggle(index);
    });
    mark();
    return clip;
  };
  const isBroken = (clip) => clip.box.classList.contains("broken");
  const toggle = (index) => {
    for (const clip of clips) if (clip.index !== index) clip.video.pause();
    const clip = clips[index];
    if (!clip) return;
    if (isBroken(clip)) { clip.box.classList.remove("broken"); clip.video.load(); } // the connection may be back
    if (clip.video.paused) { if (clip.video.ended) clip.video.currentTime = 0; clip.video.play().catch(() => {}); } else clip.video.pause();
  };
  const ready = () => {
    const all = clips.every((clip) => clip.ended);
    for (const button of by("answers").querySelectorAll("button")) button.disabled = !all;
    by("hint").textContent = all ? "" : pairs ? "Watch both clips to the end, then answer." : "Watch the clip to the end, then answer.";
    by("next").disabled = !(all && isAnswered(form()[state.at][0]));
  };
  const options = () => pairs
    ? [["left", "A"], ...(design.ties ? [["tie", "No difference"]] : []), ["right", "B"]]
    : [1, 2, 3, 4, 5].map((n) => [n, String(n)]);

  const questions = (id) => {
    const boxes = design.questions.map((question, number) => {
      const set = document.createElement("fieldset");
      const legend = document.createElement("legend");
      legend.textContent = question.text;
      const row = document.createElement("div");
      row.className = "choices";
      for (const [value, label] of options()) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = label;
        button.dataset.question = question.key;
        button.dataset.value = String(value);
        button.addEventListener("click", () => choose(number, value));
        row.append(button);
      }
      set.append(legend, row);
      if (!pairs) {
        const ends = document.createElement("div");
        ends.className = "ends";
        for (const text of ["1 · bad", "5 · excellent"]) { const end = document.createElement("span"); end.textContent = text; ends.append(end); }
        set.append(ends);
      }
      return set;
    });
    by("answers").replaceChildren(...boxes);
    const open_ = design.questions.findIndex((q) => answerOf(id).choices[q.key] === undefined);
    current = open_ < 0 ? design.questions.length - 1 : open_;
    pressed(id);
  };
  const pressed = (id) => {
    const choices = answerOf(id).choices;
    for (const button of by("answers").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(String(choices[button.dataset.question]) === button.dataset.value));
    }
    [...by("answers").children].forEach((set, number) => set.classList.toggle("now", number === current && design.questions.length > 1));
  };
  const choose = (number, value) => {
    if (!clips.every((clip) => clip.ended)) return;
    refresh();
    const [id, left, right] = form()[state.at];
    const answer = answerOf(id);
    answer.plays = [...plays];
    answer.choices[design.questions[number].key] = value;
    answer.seconds = Math.round((answer.seconds + (performance.now() - began) / 1000) * 10) / 10;
    began = performance.now();
    state.answers[id] = { ...answer, left, right };
    state.saved = false;
    current = Math.min(number + 1, design.questions.length - 1);
    keep();
    pressed(id);
    progress();
    ready();
  };
  let ahead = [];
  const fetchAhead = () => {
    const following = form()[state.at + 1];
    ahead = following ? following.slice(1).filter(Boolean).map((name) => {
      const video = document.createElement("video");
      video.preload = "auto";
      video.src = `media/${name}.mp4`;
      return video;
    }) : [];
  };
  const open = (place) => {
    refresh();
    if (place >= form().length) return finish();
    state.at = Math.max(0, place);
    keep();
    began = performance.now();
    const [id, ...names] = form()[state.at];
    plays = [...answerOf(id).plays];
    for (const clip of clips) { clip.video.pause(); clip.video.removeAttribute("src"); clip.video.load(); }
    clips = names.filter(Boolean).map(panel);
    by("stage").replaceChildren(...clips.map((clip) => clip.box));
    questions(id);
    by("back").disabled = state.at === 0;
    by("next").textContent = state.at === form().length - 1 ? "Finish" : "Next";
    show("trial");
    progress();
    ready();
    fetchAhead();
  };
  by("next").addEventListener("click", () => { if (!by("next").disabled) open(state.at + 1); });
  by("back").addEventListener("click", () => open(state.at - 1));

  // ---- the end ------------------------------------------------------------------------------------------------
  const REMOVE = by("clear").textContent;
  let sure = false;
  const finish = () => {
    for (const clip of clips) clip.video.pause();
    state.at = form().length;
    keep();
    const n = form().filter(([id]) => isAnswered(id)).length;
    by("summary").textContent = `You answered ${n} of ${form().length} screens.`;
    by("clear").hidden = !state.saved;
    sure = false;
    by("clear").textContent = REMOVE;
    show("done");
    progress();
  };
  const exported = () => {
    const votes = [];
    form().forEach(([id], place) => {
      const answer = state.answers[id];
      if (!answer) return;
      for (const [question, choice] of Object.entries(answer.choices)) {
        votes.push({ trial: id, place, question, choice, left: answer.left, right: answer.right, seconds: answer.seconds, plays: answer.plays });
      }
    });
    const complete = form().every(([id]) => isAnswered(id));
    // "end" comes last, so a file that was cut off is told from a whole one.
    return { format: "emo-bench-votes", version: 1, study: design.study, rater: state.rater, form: state.form, started: state.started, saved: new Date().toISOString(), complete, votes, n_votes: votes.length, end: "emo-bench-votes" };
  };
  const save = () => {
    refresh();
    const text = JSON.stringify(exported(), null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `votes-${design.study}-${state.rater}.json`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    state.saved = true;
    keep();
    if (!by("done").hidden) by("clear").hidden = false;
  };
  by("save").addEventListener("click", save);
  by("pause").addEventListener("click", save);
  by("review").addEventListener("click", () => open(form().length - 1));
  by("clear").addEventListener("click", () => {
    if (!state.saved) return;
    if (!sure) { sure = true; by("clear").textContent = "Really remove? Only if the file is safe."; return; }
    try {
      localStorage.removeItem(prefix + state.rater);
      localStorage.removeItem(`${prefix}:last`);
    } catch { /* nothing was kept */ }
    state = null;
    by("rater").value = random(8);
    greet();
    progress();
    show("start");
  });

  addEventListener("beforeunload", (event) => {
    if (state && !isKept && !state.saved && Object.keys(state.answers).length) event.preventDefault();
  });

  // ---- keyboard -----------------------------------------------------------------------------------------------
  const key = (text) => { const box = document.createElement("kbd"); box.textContent = text; return box; };
  by("keys").replaceChildren(
    ...(pairs
      ? [key("1"), " ", key("2"), " play · ", key("←"), ...(design.ties ? [" ", key("↓")] : []), " ", key("→"), " answer · "]
      : [key("Space"), " play · ", key("1"), "–", key("5"), " answer · "]),
    key("Enter"), " next · ", key("Backspace"), " back");
  document.addEventListener("keydown", (event) => {
    if (by("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const go = { Enter: () => by("next").click(), Backspace: () => by("back").click() };
    if (pairs) Object.assign(go, { 1: () => toggle(0), 2: () => toggle(1), ArrowLeft: () => choose(current, "left"), ArrowRight: () => choose(current, "right") }, design.ties ? { ArrowDown: () => choose(current, "tie") } : {});
    else { go[" "] = () => toggle(0); for (const n of [1, 2, 3, 4, 5]) go[n] = () => choose(current, n); }
    const act = go[event.key];
    if (!act) return;
    if (event.target.closest?.("button") && (event.key === "Enter" || event.key === " ")) return;
    event.preventDefault();
    if (!event.repeat) act(); // a key that is held would answer the next question as well
  });
  greet();
  progress();
})();
