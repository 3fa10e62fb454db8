// The page of Ocelli: plain web components over the program's own API. Nothing comes from elsewhere, and texts never become HTML.

const state = { hello: null, about: null, stats: null, kinds: [] };
const bus = new EventTarget();
const $ = (id) => document.getElementById(id);

// An element with properties and children; texts stay texts.
function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list" && key !== "form") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function api(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && state.hello?.csrf) headers["x-csrf-token"] = state.hello.csrf;
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch { throw new Refused(0, "the program does not answer"); }
  const said = await response.json().catch(() => ({}));
  if (response.ok) return said;
  if (response.status === 401 && state.hello?.name) { state.hello = { ...state.hello, name: null, csrf: null }; leave(); }
  throw new Refused(response.status, said.error?.message ?? `status ${response.status}`);
}

function note(text) { $("note").textContent = ""; requestAnimationFrame(() => { $("note").textContent = text; }); }

// Does something that may be refused, and says so.
async function attempt(button, work) {
  if (button) button.disabled = true;
  try { return await work(); } catch (error) { note(error.message); return undefined; }
  finally { if (button) button.disabled = false; }
}

const may = (role) => ["viewer", "operator", "admin"].indexOf(state.hello?.role) >= ["viewer", "operator", "admin"].indexOf(role);
const clock = (text) => text ? new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "";
const day = (text) => text ? new Date(text).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" }) : "Without a date";
const mib = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;
const lasted = (event) => event.start && event.end ? (new Date(event.end) - new Date(event.start)) / 1000 : (event.t_end_s ?? 0) - (event.t_start_s ?? 0);
const span = (seconds) => seconds < 1 ? "" : seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

// Whether it may have been recorded around an event: what is told again has been.
const mayShow = (event) => event.id !== null && state.about.recorded.includes(event.type) && !event.text.startsWith("still not acknowledged");

// Beside its lines a list has room for pictures, where there can be some.
const eventsClass = () => state.about.recorded.length ? "events beside" : "events";

// What was recorded around events, by their ids. An older run of the program may have had the same ids, so the time has to be the same, too.
async function recordings(events) {
  const asked = events.filter(mayShow), found = new Map();
  if (!asked.length) return found;
  const page = await api("GET", `/api/recordings?events=${asked.map((event) => event.id).join(",")}&limit=200`).catch(() => ({ recordings: [] }));
  for (const recording of page.recordings.reverse()) {
    for (const event of asked) {
      const of = recording.events.find((other) => other.id === event.id);
      if (of && recording.camera === event.camera && Math.abs(new Date(of.start) - new Date(event.start)) < 1000) found.set(event.id, recording);
    }
  }
  return found;
}

// The place of an event's picture, and the picture: it opens the clip, or the snapshot where there is none.
function thumbnail(event, recording) {
  const place = h("div", { className: "thumb" });
  if (!recording) return place;
  // Of one that was removed meanwhile the place stays empty, so that nothing jumps.
  const gone = () => place.replaceChildren();
  const alt = `Picture of ${event.camera} at ${clock(event.start)}: ${event.text}`;
  const picture = h("img", { loading: "lazy", decoding: "async", alt, width: 64, height: 48, onerror: gone, src: `/api/recordings/${recording.id}/snapshot.jpg` });
  // It is not disabled meanwhile, for who closes the dialog comes back to it.
  place.append(h("button", { type: "button", onclick: () => attempt(null, async () => {
    try { watch(await api("GET", `/api/recordings/${recording.id}`), event); } catch (error) { if (error.status === 404) gone(); throw error; }
  }) }, picture));
  return place;
}

// A recording in a dialog.
function watch(recording, event) {
  const at = `/api/recordings/${recording.id}`, still = `${at}/snapshot.jpg`, what = `${event.camera}, ${day(event.start)} ${clock(event.start)}`;
  const picture = h("img", { src: still, alt: `Picture of ${what}: ${event.text}`, width: 448, height: 448 });
  const shown = recording.clip ? h("video", { src: `${at}/clip.mp4`, poster: still, ariaLabel: `Clip of ${what}: ${event.text}`, controls: true, autoplay: true, muted: true, playsInline: true, loop: true, width: 448, height: 448 }) : picture;
  if (recording.clip) shown.addEventListener("error", () => { shown.replaceWith(picture); note("The clip cannot be played."); });
  const box = h("dialog", { className: "film", ariaLabel: what, onclose: () => box.remove() }, h("div", { className: "frame" }, shown),
    h("p", { className: "what" }, event.text), h("p", { className: "dim" }, `${what}. ${recording.clip ? "" : "The clip is not there, or not yet. "}It is what the model got.`),
    h("p", { className: "row" }, h("button", { type: "button", onclick: () => box.close() }, "Close")));
  if (document.querySelector("dialog")) return;
  document.body.append(box);
  box.showModal();
}

// One event, with what one can do about it, and its picture, or room for one that may come.
function eventItem(event, recording, awaited) {
  const alert = event.type === "alert";
  const kind = alert ? "alert" : ["blind", "hole"].includes(event.type) ? event.type : event.severity === "notice" || event.severity === "alarm" ? "notice" : "";
  const mark = { alert: "Alert: ", alert_end: "Over: ", update: "Alert: ", blind: "Blind: ", hole: "Not running: ", health: "Device: " }[event.type] ?? "";
  const said = alert && event.said ? ` — ${event.said}` : "";
  const time = h("time", { dateTime: event.start ?? "" }, event.start ? clock(event.start) : `${(event.t_start_s ?? 0).toFixed(1)} s`);
  const acts = h("div", { className: "acts" });
  const pictured = recording || awaited;
  const item = h("li", { className: pictured ? `${kind} pictured` : kind, id: event.id === null ? "" : `event-${event.id}` },
    h("div", { className: "dim" }, time, ` ${event.camera ?? ""} ${span(lasted(event))}`, event.id === null ? "" : ` #${event.id}`),
    h("div", { className: "what" }, mark + event.text + said), pictured ? thumbnail(event, recording) : null, acts);
  if (alert && event.acknowledged) acts.append(h("span", { className: "dim" }, `acknowledged ${clock(event.acknowledged)}`));
  else if (alert && may("operator")) {
    acts.append(h("button", { type: "button", ariaLabel: `Acknowledge alert ${event.id}`, onclick: (click) => attempt(click.target, async () => {
      const now = await api("POST", `/api/events/${event.id}/ack`);
      note("Acknowledged.");
      if ($("alarm").dataset.id === String(event.id)) $("alarm").textContent = "";
      const next = eventItem(now), place = item.querySelector(".thumb");
      if (place) { next.classList.add("pictured"); next.querySelector(".acts").before(place); }
      item.replaceWith(next);
    }) }, "Acknowledge"));
  }
  if (event.type === "narration" && may("operator")) {
    const judge = (click, verdict) => attempt(click.target, async () => note((await api("POST", `/api/events/${event.id}/verdict`, verdict)).message || "Learnt."));
    acts.append(
      h("button", { type: "button", className: "quiet", ariaLabel: `Event ${event.id} is right`, onclick: (click) => judge(click, { right: true }) }, "Right"),
      h("button", { type: "button", className: "quiet", ariaLabel: `Event ${event.id} is wrong`, onclick: () => wrong(event) }, "Wrong"));
    if (event.start) acts.append(h("button", { type: "button", className: "quiet", ariaLabel: `Name what happened at event ${event.id}`, onclick: () => teach(event) }, "Name it"));
  }
  return item;
}

// A question with fields in a dialog.
function dialog(title, fields, done) {
  const form = h("form", { method: "dialog" }, h("h2", {}, title), ...fields,
    h("p", { className: "row" }, h("button", { type: "submit" }, "Do it"), h("button", { type: "button", className: "quiet", onclick: () => box.close() }, "Cancel")));
  const box = h("dialog", {}, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(event.submitter, async () => { await done(new FormData(form)); box.close(); });
  });
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

function field(label, control) { control.id ||= `f${Math.random().toString(36).slice(2)}`; return h("div", { className: "grow" }, h("label", { htmlFor: control.id }, label), control); }

async function kinds() {
  if (!state.kinds.length) state.kinds = [...new Set((await api("GET", "/api/vocabulary")).sentences.map((sentence) => sentence.kind))].sort();
  return state.kinds;
}

async function wrong(event) {
  const known = await attempt(null, kinds) ?? [];
  const what = h("select", { name: "was" }, h("option", { value: "" }, "something else"), ...known.map((kind) => h("option", { value: kind }, kind)));
  dialog(`“${event.text}” was wrong`, [field("What was it?", what)], async (form) => {
    const was = form.get("was");
    note((await api("POST", `/api/events/${event.id}/verdict`, was ? { right: false, was } : { right: false })).message || "Learnt.");
  });
}

function teach(event) {
  dialog("Name what happened then", [
    h("p", { className: "dim" }, `${event.camera}, ${day(event.start)} ${clock(event.start)}. It is said from now on where it looks like that.`),
    field("In your words", h("input", { name: "text", required: true, maxLength: 400 })),
  ], async (form) => {
    const to = new Date(Math.max(new Date(event.end ?? event.start), new Date(event.start).getTime() + 1000)).toISOString();
    note((await api("POST", "/api/teach", { text: form.get("text"), from: event.start, to, camera: event.camera })).message || "Learnt.");
  });
}

class Live extends HTMLElement {
  connectedCallback() {
    this.picture = h("canvas", { width: 224, height: 224, role: "img", ariaLabel: `What the model sees of ${this.camera}` });
    this.overlay = h("canvas", { width: 224, height: 224, ariaHidden: "true" });
    this.veil = h("div", { className: "veil" }, "…");
    this.kept = h("p", { className: "dim" }, "");
    this.shown = h("input", { type: "checkbox", checked: true, onchange: () => { this.overlay.hidden = !this.shown.checked; } });
    this.saying = h("p", { className: "saying" }, this.last ?? "");
    const view = h("div", { className: "view" }, this.picture, this.overlay, this.veil);
    this.overlay.hidden = Boolean(this.plain);
    this.append(...(this.plain ? [view] : [h("h2", {}, this.camera), view, this.saying, this.kept]));
    if (state.about.live) {
      if (!this.plain) this.append(h("label", { className: "inline" }, this.shown, "show which patches were kept"));
      this.watch();
    } else {
      this.veil.textContent = "Pictures stay in the program: the config does not allow that they are shown ([gateway] live = true).";
    }
    this.heard = ({ detail: event }) => {
      if (event.camera !== this.camera || !["narration", "alert", "update", "blind"].includes(event.type)) return;
      this.saying.textContent = (event.type === "alert" ? "Alert: " : event.type === "blind" ? "Blind: " : "") + event.text;
    };
    bus.addEventListener("event", this.heard);
  }

  disconnectedCallback() { this.gone = true; this.stop?.abort(); bus.removeEventListener("event", this.heard); }

  async watch() {
    while (!this.gone) {
      try {
        this.stop = new AbortController();
        const response = await fetch(`/api/cameras/${encodeURIComponent(this.camera)}/live`, { signal: this.stop.signal });
        if (!response.ok) throw new Refused(response.status, (await response.json()).error.message);
        await this.read(response.body.getReader());
      } catch (error) {
        if (this.gone) return;
        this.veil.hidden = false;
        this.veil.textContent = error.message;
        if (error.status === 401 || error.status === 403) return;
      }
      await new Promise((done) => setTimeout(done, 3000));
    }
  }

  // Messages: see firmware/gateway/src/canvas.rs.
  async read(reader) {
    let held = new Uint8Array(0);
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const all = new Uint8Array(held.length + value.length);
      all.set(held); all.set(value, held.length);
      let at = 0;
      while (all.length - at >= 4) {
        const length = new DataView(all.buffer, at).getUint32(0, true);
        if (all.length - at - 4 < length) break;
        this.paint(new DataView(all.buffer, at + 4, length));
        at += 4 + length;
      }
      held = all.slice(at);
    }
  }

  paint(view) {
    const [across, side, kept, sent] = [0, 2, 4, 6].map((at) => view.getUint16(at, true));
    if (this.picture.width !== across * side) for (const canvas of [this.picture, this.overlay]) canvas.width = canvas.height = across * side;
    const ink = this.picture.getContext("2d"), veil = this.overlay.getContext("2d");
    // Where the picture lies, without its bars, in shares of what the model sees.
    this.content = [16, 18, 20, 22].map((at) => view.getUint16(at, true) / across);
    let at = 24;
    veil.clearRect(0, 0, across * side, across * side);
    veil.fillStyle = "rgba(242, 184, 75, .38)";
    for (let index = 0; index < kept; index++, at += 2) {
      const patch = view.getUint16(at, true);
      veil.fillRect((patch % across) * side, Math.floor(patch / across) * side, side - 1, side - 1);
    }
    const pixels = ink.createImageData(side, side);
    for (let index = 0; index < sent; index++) {
      const patch = view.getUint16(at, true); at += 2;
      for (let pixel = 0; pixel < side * side; pixel++, at += 3) {
        pixels.data[4 * pixel] = view.getUint8(at);
        pixels.data[4 * pixel + 1] = view.getUint8(at + 1);
        pixels.data[4 * pixel + 2] = view.getUint8(at + 2);
        pixels.data[4 * pixel + 3] = 255;
      }
      ink.putImageData(pixels, (patch % across) * side, Math.floor(patch / across) * side);
    }
    this.veil.hidden = true;
    this.kept.textContent = `kept ${kept} of ${across * across} patches of the newest picture`;
    this.dataset.painted = String(Number(this.dataset.painted ?? 0) + 1);
  }
}

class Now extends HTMLElement {
  async connectedCallback() {
    const cameras = state.about.cameras.map((camera) => {
      const live = new Live();
      live.camera = camera;
      live.last = state.stats?.cameras.find((other) => other.name === camera)?.saying;
      return h("section", {}, live);
    });
    this.list = h("ol", { className: eventsClass(), ariaLabel: "The newest events" });
    this.append(h("div", { className: "two" }, h("div", {}, ...cameras), h("section", {}, h("h2", {}, "Lately"), this.list)));
    // What is told while the list is on its way comes behind it.
    let waiting = [];
    this.heard = ({ detail: event }) => (waiting ? waiting.push(event) : this.add(event));
    bus.addEventListener("event", this.heard);
    const page = await attempt(null, () => api("GET", "/api/events?limit=20"));
    const events = (page?.events ?? []).reverse(), shown = await recordings(events);
    for (const event of events) this.add(event, shown.get(event.id) ?? null);
    for (const event of waiting) this.add(event);
    waiting = null;
    if (!this.list.children.length) this.list.append(h("li", { className: "empty dim" }, "Nothing yet."));
  }

  disconnectedCallback() { bus.removeEventListener("event", this.heard); }

  // One that was told just now has no recording yet: it is asked for when it may be there, and has room until then.
  add(event, recording) {
    this.list.querySelector(".empty")?.remove();
    const known = event.id !== null && this.list.querySelector(`#event-${event.id}`);
    if (event.type === "update" && known) {
      known.querySelector(".what").append(` — ${event.text}`);
      return;
    }
    if (known && event.type === known.dataset.type) { known.remove(); }
    const awaited = recording === undefined && mayShow(event);
    const item = eventItem(event, recording, awaited);
    item.dataset.type = event.type;
    this.list.prepend(item);
    if (awaited) this.picture(event, item, [1000, 4000]);
    while (this.list.children.length > 30) this.list.lastElementChild.remove();
  }

  async picture(event, item, [wait, ...more]) {
    await new Promise((done) => setTimeout(done, wait));
    // Who acknowledged it meanwhile has another item there.
    const place = () => this.list.querySelector(`#${item.id} .thumb`);
    if (!this.isConnected || !place()) return;
    const recording = (await recordings([event])).get(event.id);
    if (recording) place()?.replaceWith(thumbnail(event, recording)); else if (more.length) this.picture(event, item, more);
  }
}

// A recording: its snapshot, which opens the clip, and what is in it.
function recordingItem(recording, changed) {
  const at = `/api/recordings/${recording.id}`;
  const what = recording.events.map((event) => event.text).join(" — ");
  const picture = h("img", { src: `${at}/snapshot.jpg`, alt: `Snapshot: ${what}`, loading: "lazy", width: 224 });
  const acts = h("div", { className: "acts" });
  const frame = h("div", { className: "frame" }, picture);
  if (recording.clip) {
    acts.append(h("button", { type: "button", className: "quiet", ariaLabel: `Play recording ${recording.id}`, onclick: () => {
      const film = h("video", { src: `${at}/clip.mp4`, controls: true, autoplay: true, muted: true, playsInline: true, loop: true, width: 224 });
      film.addEventListener("error", () => note("The clip cannot be played."));
      frame.replaceChildren(film);
    } }, "Play"), h("a", { href: `${at}/clip.mp4`, download: `ocelli-${recording.id}.mp4`, ariaLabel: `Save recording ${recording.id}` }, "Save"));
  }
  if (may("admin")) {
    acts.append(h("button", { type: "button", className: "quiet", ariaLabel: `Delete recording ${recording.id}`, onclick: (click) => attempt(click.target, async () => {
      if (!confirm("Delete this recording for good?")) return;
      await api("DELETE", at);
      note("Deleted.");
      await changed();
    }) }, "Delete"));
  }
  return h("li", { id: `recording-${recording.id}` }, frame,
    h("div", { className: "dim" }, `${recording.start ? `${day(recording.start)} ${clock(recording.start)}` : "without a date"}, ${recording.camera}, ${recording.clip ? span(recording.seconds) || "a moment" : "snapshot only"}, ${Math.ceil(recording.bytes / 1024)} KiB`),
    h("div", { className: "what" }, what), acts);
}

class Recordings extends HTMLElement {
  connectedCallback() {
    this.list = h("ol", { className: "events films", ariaLabel: "Recordings, the newest first" });
    this.held = h("p", { className: "dim" });
    this.more = h("button", { type: "button", className: "quiet", hidden: true, onclick: (click) => attempt(click.target, () => this.load(this.oldest)) }, "Older");
    this.append(h("section", {}, h("h2", {}, "Recordings"), this.held, this.list, this.more));
    attempt(null, () => this.load());
  }

  async load(before) {
    const query = new URLSearchParams({ limit: "20", ...(before ? { before: String(before) } : {}) });
    const page = await api("GET", `/api/recordings?${query}`);
    const items = page.recordings.map((recording) => recordingItem(recording, () => this.load()));
    if (before) this.list.append(...items); else this.list.replaceChildren(...items);
    this.oldest = page.recordings.at(-1)?.id;
    this.more.hidden = page.recordings.length < 20;
    this.held.textContent = `${mib(page.bytes)} of ${mib(page.most_bytes)} are kept; the oldest go first. What is shown is what the model got.`;
    if (!this.list.children.length) this.list.append(h("li", { className: "dim" }, "Nothing was recorded yet."));
  }
}

class Past extends HTMLElement {
  connectedCallback() {
    this.words = h("input", { type: "search", name: "q", placeholder: "door, somebody falls, …" });
    this.kind = h("select", { name: "kind" }, ...[["", "everything"], ["narration", "what was seen"], ["alert", "alerts"], ["blind", "blind"]].map(([value, text]) => h("option", { value }, text)));
    this.camera = h("select", { name: "camera" }, h("option", { value: "" }, "all cameras"), ...state.about.cameras.map((camera) => h("option", { value: camera }, camera)));
    this.since = h("select", { name: "since" }, ...[["1h", "last hour"], ["24h", "last day"], ["7d", "last week"], ["", "ever"]].map(([value, text]) => h("option", { value }, text)));
    this.since.value = "24h";
    this.strip = h("div", { className: "strip", role: "img" });
    this.ends = h("div", { className: "ends dim" });
    this.list = h("ol", { className: eventsClass(), ariaLabel: "Events that were found, the newest first" });
    this.more = h("button", { type: "button", className: "quiet", hidden: true, onclick: (click) => attempt(click.target, () => this.load(this.oldest)) }, "Older");
    const form = h("form", { role: "search", onsubmit: (event) => { event.preventDefault(); attempt(event.submitter, () => this.load()); } },
      h("div", { className: "row" }, field("Words", this.words), field("What", this.kind), field("Camera", this.camera), field("When", this.since), h("button", { type: "submit" }, "Search")));
    this.append(h("section", {}, h("h2", {}, "Past"), form), h("section", {}, this.strip, this.ends,
      h("p", { className: "key dim" }, h("span", {}, "seen"), h("span", { className: "notice" }, "notice"), h("span", { className: "alert" }, "alert"), h("span", { className: "blind" }, "nobody looked")),
      this.list, this.more));
    attempt(null, () => this.load());
  }

  async load(before) {
    const query = new URLSearchParams({ limit: "100" });
    for (const control of [this.words, this.kind, this.camera, this.since]) if (control.value) query.set(control.name, control.value);
    if (before) query.set("before", before);
    const { events, holes } = await api("GET", `/api/events?${query}`);
    const shown = await recordings(events);
    if (!before) { this.list.replaceChildren(); this.day = null; this.found = []; }
    const all = [...events, ...(before ? [] : holes)].sort((a, b) => (b.start ?? "").localeCompare(a.start ?? "") || (b.id ?? 0) - (a.id ?? 0));
    for (const event of all) {
      const today = day(event.start);
      if (today !== this.day) this.list.append(h("li", { className: "day" }, today));
      this.day = today;
      this.list.append(eventItem(event, shown.get(event.id)));
    }
    this.found.push(...all);
    this.oldest = events.length ? Math.min(...events.map((event) => event.id)) : before;
    this.more.hidden = events.length < 100;
    if (!this.list.children.length) this.list.append(h("li", { className: "dim" }, "Nothing was found."));
    this.draw();
    note(`${events.length} events`);
  }

  draw() {
    const dated = this.found.filter((event) => event.start);
    this.strip.replaceChildren();
    if (!dated.length) { this.ends.replaceChildren(); this.strip.ariaLabel = "No events with a date"; return; }
    const at = (text) => new Date(text).getTime();
    const from = Math.min(...dated.map((event) => at(event.start))), to = Math.max(...dated.map((event) => at(event.end ?? event.start)), from + 1000);
    const rank = { hole: 0, blind: 1, narration: 2, alert: 3 };
    for (const event of dated.filter((event) => event.type in rank).sort((a, b) => rank[a.type] - rank[b.type])) {
      const bar = h("i", { className: event.type === "narration" ? (event.severity === "notice" || event.severity === "alarm" ? "notice" : "") : event.type, title: `${clock(event.start)} ${event.text}` });
      bar.style.left = `${100 * (at(event.start) - from) / (to - from)}%`;
      if (event.type === "blind" || event.type === "hole") bar.style.width = `${100 * (at(event.end ?? event.start) - at(event.start)) / (to - from)}%`;
      this.strip.append(bar);
    }
    const count = (type) => dated.filter((event) => event.type === type).length;
    this.strip.ariaLabel = `From ${new Date(from).toLocaleString()} to ${new Date(to).toLocaleString()}: ${count("narration")} narrations, ${count("alert")} alerts, ${count("blind") + count("hole")} times in which nobody looked. The list below has each.`;
    this.ends.replaceChildren(h("span", {}, new Date(from).toLocaleString()), h("span", {}, new Date(to).toLocaleString()));
  }
}

class Ask extends HTMLElement {
  connectedCallback() {
    const question = h("input", { name: "question", required: true, maxLength: 1024, placeholder: "When did somebody last come in?" });
    const camera = h("select", { name: "camera" }, h("option", { value: "" }, "all cameras"), ...state.about.cameras.map((name) => h("option", { value: name }, name)));
    this.answers = h("div", { ariaLive: "polite" });
    const form = h("form", { onsubmit: (event) => { event.preventDefault(); attempt(event.submitter, async () => this.show(await api("POST", "/api/ask", { question: question.value, ...(camera.value ? { camera: camera.value } : {}) }))); } },
      h("div", { className: "row" }, field("Question", question), field("Camera", camera), h("button", { type: "submit" }, "Ask")));
    this.digest = h("div", { ariaLive: "polite" });
    const tell = (which) => (click) => attempt(click.target, async () => this.tell(await api("GET", `/api/digest?day=${which}`)));
    this.append(h("section", {}, h("h2", {}, "Ask about the past"), form, this.answers),
      h("section", {}, h("h2", {}, "A day"), h("div", { className: "row" }, h("button", { type: "button", onclick: tell("today") }, "Today"), h("button", { type: "button", onclick: tell("yesterday") }, "Yesterday")), this.digest));
  }

  show(answer) {
    const evidence = answer.evidence.slice(0, 10).map((id) => h("button", { type: "button", className: "quiet", onclick: (click) => attempt(click.target, async () => {
      const event = await api("GET", `/api/events/${id}`);
      click.target.replaceWith(h("ol", { className: "events" }, eventItem(event, (await recordings([event])).get(event.id))));
    }) }, `event ${id}`));
    this.answers.replaceChildren(h("p", { className: "answer" }, answer.answer),
      h("p", { className: "dim" }, answer.abstained ? "Not answered. " : `Confidence ${Math.round(100 * answer.confidence)} %. `, answer.gaps.length ? `Nobody looked in ${answer.gaps.length} times of it. ` : ""),
      h("div", { className: "row" }, ...evidence));
  }

  tell(digest) {
    this.digest.replaceChildren(h("h3", {}, `${digest.day}: ${digest.events} events`),
      h("ol", { className: "events" }, ...digest.chapters.map((chapter) => h("li", {}, h("div", { className: "dim" }, `${clock(chapter.start)} to ${clock(chapter.end)}, ${chapter.events} events`), chapter.title)),
        ...digest.alerts.map((alert) => h("li", { className: "alert" }, h("div", { className: "dim" }, `${clock(alert.start)} ${alert.camera}`), `Alert: ${alert.text}`)),
        ...digest.gaps.map((gap) => h("li", { className: "blind" }, `${gap.camera ? `${gap.camera} was blind` : "nothing was watched"} ${clock(gap.start)} to ${clock(gap.end)}`))));
  }
}

// A part of the picture: a polygon that is drawn over what the camera sees, or written as its corners. Others of the camera are shown
// with their names; where `fixed`, it shows them and no more.
class Zone extends HTMLElement {
  connectedCallback() {
    this.corners ??= [];
    this.others ??= [];
    this.written = h("input", { placeholder: "50,0 100,0 100,100 50,100", autocomplete: "off", oninput: () => this.read(), oninvalid: () => { this.querySelector("details").open = true; } });
    this.ink = h("canvas", { width: 448, height: 448, role: "img", onpointerdown: (press) => this.corner(press) });
    this.stage = h("div");
    const back = (label, left) => h("button", { type: "button", className: "quiet", onclick: () => this.set(left()) }, label);
    this.append(h("details", { ontoggle: (of) => this.open(of.target.open) }, h("summary", {}, this.summary ?? "Only where it moves in a part of the picture"),
      this.fixed ? null : field("Corners: from the left, from the top, in hundredths", this.written), this.stage,
      this.fixed ? null : h("p", { className: "row" }, back("Take back the last corner", () => this.corners.slice(0, -1)), back(this.needed ? "No corners" : "No zone", () => []))));
    this.set(this.corners);
  }

  get value() { return this.corners; }

  set(corners) {
    this.corners = corners;
    this.written.value = corners.map((at) => at.map((share) => Math.round(1000 * share) / 10).join(",")).join(" ");
    this.read();
  }

  // What is written counts, be it by hand or by drawing.
  read() {
    const corners = this.written.value.trim().split(/\s+/).filter(Boolean).map((corner) => corner.split(",").map((part) => (part.trim() ? Number(part) / 100 : NaN)));
    const wrong = corners.some((at) => at.length !== 2 || at.some((share) => !(share >= 0 && share <= 1)));
    const few = this.needed ? corners.length < 3 : corners.length === 1 || corners.length === 2;
    this.written.setCustomValidity(wrong ? "Write each corner as two numbers from 0 to 100, such as 50,0" : few ? "A zone has three corners or more" : "");
    if (!wrong) this.corners = corners;
    this.draw();
  }

  // The picture comes only while somebody draws on it.
  open(is) {
    this.stage.replaceChildren();
    if (!is) return;
    if (!state.about.live) { this.stage.append(h("p", { className: "dim" }, "It can be drawn where the config allows that pictures are shown ([gateway] live = true).")); return; }
    this.live = new Live();
    this.live.camera = this.camera; this.live.plain = true;
    this.stage.append(this.fixed ? "" : h("p", { className: "dim" }, `Press on the corners of the zone, one after the other, in the picture of ${this.camera}.`), this.live);
    this.live.querySelector(".view").append(this.ink);
    // Where the picture's bars are is known with the first picture, which marks it as painted.
    new MutationObserver(() => this.draw()).observe(this.live, { attributes: true, attributeFilter: ["data-painted"] });
    this.draw();
  }

  of(camera) { this.camera = camera; if (this.querySelector("details")?.open) this.open(true); }

  corner(press) {
    const [left, right, top, bottom] = this.live.content ?? [0, 1, 0, 1];
    const box = this.ink.getBoundingClientRect();
    const share = (at, from, size, low, high) => Math.min(1, Math.max(0, ((at - from) / size - low) / (high - low)));
    if (this.corners.length < 32 && !this.fixed) this.set([...this.corners, [share(press.clientX, box.left, box.width, left, right), share(press.clientY, box.top, box.height, top, bottom)]]);
  }

  draw() {
    const [left, right, top, bottom] = this.live?.content ?? [0, 1, 0, 1];
    const ink = this.ink.getContext("2d"), { width, height } = this.ink;
    const named = this.others.map((zone) => zone.name).join(", ");
    this.ink.ariaLabel = `${this.corners.length ? `The zone has ${this.corners.length} corners` : "No zone is drawn"}${named ? `; there are: ${named}` : ""}`;
    const place = ([x, y]) => [width * (left + x * (right - left)), height * (top + y * (bottom - top))];
    const polygon = (corners, line, fill) => {
      ink.strokeStyle = line; ink.fillStyle = fill; ink.lineWidth = 4;
      ink.beginPath();
      for (const corner of corners) ink.lineTo(...place(corner));
      ink.closePath(); ink.fill(); ink.stroke();
    };
    ink.clearRect(0, 0, width, height);
    for (const zone of this.others) {
      polygon(zone.corners, "#7cc4c8", "rgba(124, 196, 200, .2)");
      // In the middle of its corners, with an edge, so that it can be read on anything.
      const [x, y] = place([0, 1].map((axis) => zone.corners.reduce((sum, corner) => sum + corner[axis], 0) / zone.corners.length));
      ink.font = "600 22px system-ui, sans-serif"; ink.textAlign = "center"; ink.lineWidth = 5; ink.strokeStyle = "#0b1a1f"; ink.fillStyle = "#fff";
      ink.strokeText(zone.name, x, y); ink.fillText(zone.name, x, y);
    }
    polygon(this.corners, "#f2b84b", "rgba(242, 184, 75, .25)");
    for (const corner of this.corners) { const [x, y] = place(corner); ink.strokeRect(x - 5, y - 5, 10, 10); }
  }
}

// What a condition says, in words.
function conditionText(condition) {
  const what = condition.when ? `“${condition.when}” (${condition.kinds.join(", ")})` : condition.absent.length ? `none of ${condition.absent.join(", ")} is seen` : `${condition.kinds.join(" or ")} is seen`;
  const parts = [condition.camera ?? "all cameras", condition.severity, what];
  if (condition.for) parts.push(condition.for === "all" ? "for all of the time" : `for ${condition.for}`);
  if (condition.after.length) parts.push(`only after ${condition.after.join(" or ")}${condition.within ? ` of ${condition.within} ago at most` : ""}${condition.unless.length ? `, and not ${condition.unless.join(" or ")} since` : ""}`);
  if (condition.threshold !== null) parts.push(`from ${condition.threshold}`);
  if (condition.times.length) parts.push(condition.times.join("; "));
  if (condition.in_zone) parts.push(`in the zone ${condition.in_zone}`); else if (condition.zone.length) parts.push("in its zone");
  if (condition.cooldown) parts.push(`quiet for ${condition.cooldown} afterwards`);
  return parts.join(", ");
}

// What a new condition asks, or one that is changed.
function conditionForm(kinds, zones, done) {
  const told = h("input", { name: "text", required: true, maxLength: 400, placeholder: "Somebody is at the back door at night" });
  const sees = h("select", {}, h("option", { value: "kinds" }, "one of these is seen"), h("option", { value: "absent" }, "none of these is seen"));
  const what = h("select", { multiple: true, required: true, size: 6 }, ...kinds.map(([kind, sentence]) => h("option", { value: kind }, `${kind}: ${sentence}`)));
  const zone = new Zone();
  zone.camera = state.about.cameras[0];
  // One that was drawn under Cameras is that camera's, and is drawn there.
  const named = h("select", { onchange: () => chosen() }, h("option", { value: "" }, "anywhere, or where it is drawn below"), ...zones.map((of, index) => h("option", { value: String(index) }, `${of.name} (${of.camera})`)));
  const chosen = () => {
    const of = zones[named.value];
    zone.hidden = Boolean(of);
    if (of) camera.value = of.camera;
  };
  const camera = h("select", { onchange: () => {
    if (zones[named.value]?.camera !== camera.value) { named.value = ""; chosen(); }
    zone.of(camera.value || state.about.cameras[0]);
  } }, h("option", { value: "" }, "all cameras"), ...state.about.cameras.map((name) => h("option", { value: name }, name)));
  const empty = () => { told.readOnly = false; zone.set([]); named.value = ""; chosen(); };
  const severity = h("select", {}, ...["alarm", "notice", "info"].map((name) => h("option", { value: name }, name)));
  const lasts = h("input", { placeholder: "1s", autocomplete: "off" });
  const quiet = h("input", { placeholder: "5min", autocomplete: "off" });
  const times = h("input", { placeholder: "22:00-06:00; mon-fri 08:00-17:00", autocomplete: "off" });
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); attempt(event.submitter, async () => {
    const said = await api("POST", "/api/conditions", {
      text: told.value, severity: severity.value, [sees.value]: [...what.selectedOptions].map((option) => option.value),
      ...(zones[named.value] ? { in_zone: zones[named.value].name } : { zone: zone.value }),
      times: times.value.split(";").map((time) => time.trim()).filter(Boolean),
      ...(camera.value ? { camera: camera.value } : {}), ...(lasts.value.trim() ? { for: lasts.value.trim() } : {}), ...(quiet.value.trim() ? { cooldown: quiet.value.trim() } : {}),
    });
    note(said.message);
    form.reset(); empty();
    await done();
  }); } }, h("h3", {}, "A condition of yours"),
    h("div", { className: "row" }, field("What is told", told), field("Camera", camera), field("How much it matters", severity)),
    h("div", { className: "row" }, field("Told while", sees), field("What is seen, one or several", what)),
    h("div", { className: "row" }, field("For how long", lasts), field("At which times", times), field("Quiet after its end", quiet)),
    zones.length ? h("div", { className: "row" }, field("Where something must move", named)) : null, zone,
    h("p", { className: "row" }, h("button", { type: "submit" }, "Watch for it"), h("button", { type: "reset", className: "quiet", onclick: empty }, "Empty the form")));
  // What tells the same is the same condition, so its words stay.
  form.fill = (condition) => {
    [told.value, camera.value, severity.value, lasts.value, quiet.value] = [condition.text, condition.camera ?? "", condition.severity, condition.for ?? "", condition.cooldown ?? ""];
    told.readOnly = true;
    sees.value = condition.absent.length ? "absent" : "kinds";
    const meant = [...condition.kinds, ...condition.absent];
    for (const option of what.options) option.selected = meant.includes(option.value);
    times.value = condition.times.join("; ");
    const place = zones.findIndex((of) => of.name === condition.in_zone && of.camera === condition.camera);
    named.value = place < 0 ? "" : String(place); chosen();
    zone.of(condition.camera ?? state.about.cameras[0]); zone.set(place < 0 ? condition.zone : []);
    sees.focus();
  };
  return form;
}

// A kind, which may break before its underscores.
const breakable = (kind) => kind.split(/(?=_)/).flatMap((part) => [h("wbr"), part]);

class Words extends HTMLElement {
  connectedCallback() {
    this.conditions = h("ul", { className: "conditions" });
    this.adding = h("div");
    this.list = h("table");
    this.filter = h("input", { type: "search", oninput: () => this.show() });
    this.rules = may("admin") && !state.hello.cameras;
    const how = state.about.conditions ? "What is told at once. Those of the config are changed there ([[alert]])." : "What is told at once. They are written in the config ([[alert]]); with a file named there ([alerts] file) they can be added here.";
    this.append(h("section", {}, h("h2", {}, "Conditions"), h("p", { className: "dim" }, how), this.conditions, this.adding));
    const words = h("section", {}, h("h2", {}, "What can be said"));
    if (may("admin") && !state.hello.cameras) {
      const text = h("input", { required: true, maxLength: 400, placeholder: "the cat jumps on the counter" });
      const severity = h("select", {}, ...["info", "notice", "alarm"].map((name) => h("option", { value: name }, name)));
      words.append(h("form", { onsubmit: (event) => { event.preventDefault(); attempt(event.submitter, async () => {
        note((await api("POST", "/api/vocabulary", { text: text.value, severity: severity.value })).message || "Added.");
        text.value = ""; state.kinds = []; await this.load();
      }); } }, h("div", { className: "row" }, field("A sentence of yours", text), field("How much it matters", severity), h("button", { type: "submit" }, "Add"))));
    }
    words.append(field("Show only", this.filter), h("div", { className: "wide" }, this.list));
    this.append(words);
    attempt(null, () => this.load());
  }

  async load() {
    const [{ conditions }, { sentences }, { zones }] = await Promise.all([api("GET", "/api/conditions"), api("GET", "/api/vocabulary"), api("GET", "/api/zones")]);
    this.sentences = sentences;
    this.told(conditions);
    if (this.rules && state.about.conditions && !this.form) {
      const first = new Map([...sentences].reverse().map((sentence) => [sentence.kind, sentence.text]));
      this.form = conditionForm([...first].sort(([a], [b]) => a.localeCompare(b)), zones, async () => this.told((await api("GET", "/api/conditions")).conditions));
      this.adding.append(this.form);
    }
    this.show();
  }

  told(conditions) {
    this.conditions.replaceChildren(...conditions.map((condition) => h("li", {}, h("div", { className: "what" }, condition.text),
      h("div", { className: "dim" }, conditionText(condition), condition.own ? "" : " (config)", condition.fault ? h("strong", {}, ` Not in force: ${condition.fault}`) : ""),
      condition.own && this.rules ? h("div", { className: "acts" },
        h("button", { type: "button", className: "quiet", ariaLabel: `Change: ${condition.text}`, onclick: () => this.form?.fill(condition) }, "Change"),
        h("button", { type: "button", className: "quiet", ariaLabel: `Take back the condition: ${condition.text}`, onclick: (click) => attempt(click.target, async () => {
          note((await api("DELETE", `/api/conditions?${new URLSearchParams({ text: condition.text })}`)).message);
          this.told((await api("GET", "/api/conditions")).conditions);
        }) }, "Take back")) : null)));
    if (!conditions.length) this.conditions.append(h("li", { className: "dim" }, "None beside what the pack alarms about."));
  }

  // With a sentence of the user's, so that it is never beside the edge of a phone.
  back(sentence) {
    if (!sentence.own) return null;
    if (!this.rules) return h("span", { className: "dim" }, "yours");
    return h("button", { type: "button", className: "quiet", ariaLabel: `Take back: ${sentence.text}`, onclick: (click) => attempt(click.target, async () => {
      note((await api("DELETE", `/api/vocabulary?${new URLSearchParams({ text: sentence.text })}`)).message || "Taken back.");
      await this.load();
    }) }, "Take back");
  }

  show() {
    const wanted = this.filter.value.toLowerCase();
    const rows = (this.sentences ?? []).filter((sentence) => `${sentence.text} ${sentence.kind}`.toLowerCase().includes(wanted)).sort((a, b) => Number(b.own) - Number(a.own)).map((sentence) => h("tr", {}, h("td", {}, h("div", { className: "own" }, h("span", {}, sentence.text), this.back(sentence))), h("td", { className: "dim" }, breakable(sentence.kind)), h("td", { className: "dim" }, sentence.severity)));
    this.list.replaceChildren(h("caption", { className: "dim" }, `${rows.length} sentences`), h("thead", {}, h("tr", {}, ...["Sentence", "Kind", "Severity"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows));
  }
}

// How a camera is, in words.
function cameraText(camera) {
  const since = camera.since ? ` since ${new Date(camera.since).toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" })}` : "";
  const rate = camera.fps ? `${camera.fps.toFixed(1)} pictures a second` : null;
  const parts = [camera.up ? `sees${since}` : camera.frames ? `blind${since}` : "has given no picture yet", camera.up ? null : camera.trouble, camera.size, rate];
  return parts.filter(Boolean).join(", ");
}

// A camera, and its zones.
class Camera extends HTMLElement {
  connectedCallback() {
    this.how = h("p", {});
    this.from = h("p", { className: "dim" });
    this.zones = h("ul", { className: "conditions" });
    this.zone = new Zone();
    Object.assign(this.zone, { camera: this.camera, fixed: !this.changes, needed: true, summary: this.changes ? "Draw a zone over the picture" : "Show them in the picture" });
    this.name = h("input", { required: true, maxLength: 64, placeholder: "the stairs", autocomplete: "off" });
    this.append(h("h2", {}, this.camera), this.how, this.from, h("h3", {}, "Zones"), this.zones, this.changes ? this.form() : this.zone);
  }

  form() {
    return h("form", { onsubmit: (event) => { event.preventDefault(); attempt(event.submitter, async () => {
      note((await api("POST", "/api/zones", { camera: this.camera, name: this.name.value, corners: this.zone.value })).message);
      this.empty(event.target);
      await this.changed();
    }); } }, h("div", { className: "row" }, field("Its name", this.name)), this.zone,
      h("p", { className: "row" }, h("button", { type: "submit" }, "Keep the zone"), h("button", { type: "reset", className: "quiet", onclick: () => this.empty() }, "Empty the form")));
  }

  empty(form) { form?.reset(); this.name.readOnly = false; this.zone.set([]); this.drawn(); }

  // What is being changed is drawn by itself.
  drawn() { this.zone.others = this.all.filter((zone) => zone.name !== (this.name.readOnly ? this.name.value : null)); this.zone.draw(); }

  told(camera, zones) {
    this.how.textContent = camera ? cameraText(camera) : "";
    this.from.textContent = camera?.from ?? "";
    if (!zones) return;
    this.all = zones.filter((zone) => zone.camera === this.camera);
    this.drawn();
    this.zones.replaceChildren(...this.all.map((zone) => h("li", {}, h("div", { className: "what" }, zone.name), h("div", { className: "dim" }, `${zone.corners.length} corners`),
      this.changes ? h("div", { className: "acts" },
        h("button", { type: "button", className: "quiet", ariaLabel: `Change the zone ${zone.name} of ${this.camera}`, onclick: () => {
          this.name.value = zone.name; this.name.readOnly = true;
          this.zone.set(zone.corners); this.drawn();
          const details = this.zone.querySelector("details");
          details.open = true; details.querySelector("summary").focus();
        } }, "Change"),
        h("button", { type: "button", className: "quiet", ariaLabel: `Remove the zone ${zone.name} of ${this.camera}`, onclick: (click) => attempt(click.target, async () => {
          note((await api("DELETE", `/api/zones?${new URLSearchParams({ camera: zone.camera, name: zone.name })}`)).message);
          await this.changed();
        }) }, "Remove")) : null)));
    if (!this.all.length) this.zones.append(h("li", { className: "dim" }, "None. With names, parts of the picture can be meant by conditions (under Words)."));
  }
}

// A camera that is to be added, tried first.
function sourceForm(devices, done) {
  const name = h("input", { name: "camera", required: true, maxLength: 32, pattern: "[\\p{L}\\p{N}_ \\-]+", placeholder: "porch", autocomplete: "off" });
  const where = h("select", { onchange: () => chosen() }, h("option", { value: "" }, "a camera of the network (RTSP)"), ...devices.map((of) => h("option", { value: of.device }, `${of.name} (${of.device})`)));
  const address = h("input", { required: true, maxLength: 1024, placeholder: "rtsp://camera.lan/stream2", autocomplete: "off", inputMode: "url" });
  const user = h("input", { maxLength: 256, autocomplete: "off" });
  const password = h("input", { type: "password", maxLength: 256, autocomplete: "new-password" });
  const far = h("div", { className: "row" }, field("Address; take a small stream", address), field("User, if it asks for one", user), field("Password", password));
  const found = h("div", { ariaLive: "polite" });
  const chosen = () => { far.hidden = Boolean(where.value); address.required = !where.value; };
  const wish = () => ({ camera: name.value, ...(where.value ? { device: where.value } : { rtsp: address.value, ...(user.value ? { username: user.value, password: password.value } : {}) }) });
  const say = (button, work) => attempt(button, async () => {
    found.replaceChildren(h("p", { className: "dim" }, "Asking the camera …"));
    try { await work(); } catch (error) { found.replaceChildren(h("p", {}, h("strong", {}, error.message))); throw error; }
  });
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); say(event.submitter, async () => {
    const said = await api("POST", "/api/sources", wish());
    form.reset(); form.empty();
    note(said.message);
    await done();
  }); } }, h("h3", {}, "Add a camera"), h("div", { className: "row" }, field("Its name", name), field("Where it is", where)), far,
    h("p", { className: "row" }, h("button", { type: "button", className: "quiet", onclick: (click) => { if (form.reportValidity()) say(click.target, async () => {
      const tried = await api("POST", "/api/probe", wish());
      found.replaceChildren(h("p", {}, `It gives pictures of ${tried.size}, ${tried.fps.toFixed(1)} a second.`),
        tried.picture ? h("img", { className: "tried", src: tried.picture, alt: `A picture of ${name.value}`, width: 224 }) : h("p", { className: "dim" }, "None is shown: the config does not allow it ([gateway] live = true)."));
    }); } }, "Try it"), h("button", { type: "submit" }, "Add it"), h("button", { type: "reset", className: "quiet", onclick: () => form.empty() }, "Empty the form")), found);
  form.empty = () => { name.readOnly = false; found.replaceChildren(); setTimeout(chosen); };
  form.fill = (source) => { form.reset(); form.empty(); name.value = source.camera; name.readOnly = true; where.focus(); };
  return form;
}

class Cameras extends HTMLElement {
  connectedCallback() {
    this.changes = may("admin") && !state.hello.cameras && state.about.setup;
    this.parts = state.about.cameras.map((name) => Object.assign(new Camera(), { camera: name, changes: this.changes, changed: () => this.load() }));
    this.append(h("div", { className: "cameras" }, ...this.parts.map((part) => h("section", {}, part))));
    if (this.changes) {
      this.list = h("ul", { className: "conditions" });
      this.adding = h("div");
      this.append(h("section", {}, h("h2", {}, "Set up"), h("p", { className: "dim" }, "Cameras of the config are changed there. What is changed here holds from the next start of the program on."), this.list, this.adding));
    } else if (may("admin")) {
      this.append(h("p", { className: "dim" }, state.about.setup ? "Cameras and zones are set up by an admin of all cameras." : "Cameras are written in the config ([[camera]]). With a file named there ([gateway] setup) cameras and zones can be set up here."));
    }
    attempt(null, () => this.load());
    this.timer = setInterval(() => { if (!document.hidden) attempt(null, async () => this.told((await api("GET", "/api/cameras")).cameras)); }, 5000);
  }

  disconnectedCallback() { clearInterval(this.timer); }

  told(cameras, zones) {
    for (const part of this.parts) part.told(cameras.find((camera) => camera.name === part.camera), zones);
  }

  async load() {
    const [{ cameras }, { zones }, found] = await Promise.all([api("GET", "/api/cameras"), api("GET", "/api/zones"), this.changes ? api("GET", "/api/sources") : null]);
    this.told(cameras, zones);
    if (!found) return;
    if (!this.form) { this.form = sourceForm(found.devices, () => this.load()); this.adding.append(this.form); }
    const next = { added: "is added", changed: "is changed", removed: "is taken away" };
    this.list.replaceChildren(...found.sources.map((source) => h("li", {}, h("div", { className: "what" }, source.camera),
      h("div", { className: "dim" }, `${source.from}${source.has_user ? ", with a user" : ""}, ${source.size}${source.own ? "" : " (config)"}`, source.change ? h("strong", {}, source.change === "left_out" ? ` It is not there: ${source.why}.` : ` It ${next[source.change]} with the next start.`) : ""),
      source.own && source.change !== "removed" ? h("div", { className: "acts" },
        h("button", { type: "button", className: "quiet", ariaLabel: `Change the camera ${source.camera}`, onclick: () => this.form.fill(source) }, "Change"),
        h("button", { type: "button", className: "quiet", ariaLabel: `Take away the camera ${source.camera}`, onclick: (click) => attempt(click.target, async () => {
          note((await api("DELETE", `/api/sources/${encodeURIComponent(source.camera)}`)).message);
          await this.load();
        }) }, "Take away")) : null)));
    const lost = zones.filter((zone) => !state.about.cameras.includes(zone.camera));
    this.list.append(...lost.map((zone) => h("li", {}, h("div", { className: "what" }, `The zone ${zone.name}`), h("div", { className: "dim" }, `of ${zone.camera}, which is not there now`),
      h("div", { className: "acts" }, h("button", { type: "button", className: "quiet", ariaLabel: `Remove the zone ${zone.name} of ${zone.camera}`, onclick: (click) => attempt(click.target, async () => {
        note((await api("DELETE", `/api/zones?${new URLSearchParams({ camera: zone.camera, name: zone.name })}`)).message);
        await this.load();
      }) }, "Remove")))));
  }
}

class System extends HTMLElement {
  connectedCallback() {
    this.memory = h("div"); this.cameras = h("div", { className: "wide" }); this.accounts = h("div", { className: "accounts" });
    this.append(h("section", {}, h("h2", {}, "Memory"), this.memory), h("section", {}, h("h2", {}, "What a picture costs"), this.cameras));
    if (may("admin") && !state.hello.cameras) { this.append(h("section", {}, h("h2", {}, "Who may come in"), this.accounts)); attempt(null, () => this.people()); }
    this.append(h("p", { className: "dim" }, `Ocelli ${state.about.version}, pack ${state.about.pack} ${state.about.pack_version}. `, h("a", { href: "/openapi.json" }, "The API")));
    const tick = async () => { if (!document.hidden) await attempt(null, async () => this.show(await api("GET", "/api/stats"))); };
    tick();
    this.timer = setInterval(tick, 5000);
  }

  disconnectedCallback() { clearInterval(this.timer); }

  show({ memory, cameras, uptime_s, events }) {
    const share = (bytes) => `${Math.min(100, 100 * bytes / memory.budget_bytes)}%`;
    const text = `${mib(memory.resident_bytes)} of ${mib(memory.budget_bytes)} are used; planned for: ${mib(memory.planned_bytes)}`;
    const used = h("b"), planned = h("u");
    used.style.width = share(memory.resident_bytes); planned.style.width = share(memory.planned_bytes);
    const open = this.memory.querySelector("details")?.open;
    this.memory.replaceChildren(h("div", { className: "bar", role: "meter", ariaLabel: "Memory", ariaValueMin: "0", ariaValueMax: String(memory.budget_bytes), ariaValueNow: String(memory.resident_bytes), ariaValueText: text }, used, planned),
      h("p", {}, text), h("p", { className: "dim" }, `Heap ${mib(memory.heap_bytes)}, at most ${mib(memory.heap_peak_bytes)}. Running for ${span(uptime_s) || "a moment"}; ${events} events.`),
      h("details", { open }, h("summary", {}, "The plan"), h("table", {}, h("tbody", {}, ...memory.plan.map((item) => h("tr", {}, h("td", {}, item.camera ? `${item.name} (${item.camera})` : item.name), h("td", { className: "n" }, mib(item.bytes))))))));
    const ms = (seconds) => (1000 * seconds).toFixed(2);
    this.cameras.replaceChildren(...cameras.map((camera) => h("div", {},
      h("h3", {}, `${camera.name}: ${camera.up ? "sees" : "blind"}`),
      h("p", { className: "dim" }, `${camera.frames} pictures, ${camera.processed} seen, ${camera.late} late, ${camera.damaged} damaged, ${camera.lost} lost; ${Math.round(100 * camera.kept_ratio)} % of patches kept`),
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Stage"), ...["mean ms", "median ms", "p95 ms"].map((name) => h("th", { scope: "col", className: "n" }, name)))),
        h("tbody", {}, ...camera.stages.map((stage) => h("tr", {}, h("th", { scope: "row" }, stage.name), ...[stage.count ? stage.sum_s / stage.count : 0, stage.p50_s, stage.p95_s].map((seconds) => h("td", { className: "n" }, ms(seconds))))))))));
  }

  async people() {
    const [users, tokens] = await Promise.all([api("GET", "/api/users"), api("GET", "/api/tokens")]);
    const row = (what, account) => h("tr", {}, h("td", {}, account.name), h("td", {}, what), h("td", {}, account.role), h("td", {}, account.cameras?.join(", ") ?? "all cameras"), h("td", {}, account.expires ? new Date(1000 * account.expires).toLocaleDateString() : ""),
      h("td", {}, h("button", { type: "button", className: "quiet", ariaLabel: `Remove ${what} ${account.name}`, onclick: (click) => attempt(click.target, async () => { await api("DELETE", `/api/${what}s/${encodeURIComponent(account.name)}`); await this.people(); }) }, "Remove")));
    const role = () => h("select", { name: "role" }, ...["viewer", "operator", "admin"].map((name) => h("option", { value: name }, name)));
    const chosen = (form) => { const cameras = form.getAll("camera"); return cameras.length ? { cameras } : {}; };
    const boxes = () => h("fieldset", {}, h("legend", { className: "dim" }, "Only these cameras (none: all)"), ...state.about.cameras.map((camera) => h("label", { className: "inline" }, h("input", { type: "checkbox", name: "camera", value: camera }), camera)));
    this.accounts.replaceChildren(h("div", { className: "wide" }, h("table", {}, h("tbody", {}, ...users.accounts.map((user) => row("user", user)), ...tokens.accounts.map((token) => row("token", token))))),
      h("p", { className: "row" },
        h("button", { type: "button", onclick: () => dialog("A user", [field("Name", h("input", { name: "name", required: true, autocomplete: "off" })), field("Password", h("input", { name: "password", type: "password", required: true, minLength: 8, autocomplete: "new-password" })), field("Role", role()), boxes()], async (form) => {
          await api("POST", "/api/users", { name: form.get("name"), password: form.get("password"), role: form.get("role"), ...chosen(form) }); await this.people();
        }) }, "Add a user"),
        h("button", { type: "button", className: "quiet", onclick: () => dialog("A token, for a program", [field("Name", h("input", { name: "name", required: true })), field("Role", role()), boxes()], async (form) => {
          const { token } = await api("POST", "/api/tokens", { name: form.get("name"), role: form.get("role"), ...chosen(form) }); await this.people();
          this.accounts.append(h("p", { role: "status" }, "This is told once: ", h("code", {}, token)));
        }) }, "Make a token")));
  }
}

for (const [name, part] of Object.entries({ "oc-live": Live, "oc-now": Now, "oc-past": Past, "oc-recordings": Recordings, "oc-ask": Ask, "oc-zone": Zone, "oc-words": Words, "oc-camera": Camera, "oc-cameras": Cameras, "oc-system": System })) customElements.define(name, part);
const parts = { now: Now, past: Past, recordings: Recordings, ask: Ask, words: Words, cameras: Cameras, system: System };

function show() {
  if (!state.hello?.name) return;
  const name = location.hash.slice(1) in parts ? location.hash.slice(1) : "now";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  document.title = `Ocelli: ${name}`;
  $("note").textContent = "";
  $("main").replaceChildren(new parts[name]());
}

let source = null;
function listen() {
  source?.close();
  source = new EventSource("/api/events/stream");
  const link = (up) => { $("link").textContent = up ? "connected" : "not connected"; $("link").className = up ? "up" : "down"; };
  source.onopen = () => link(true);
  source.onerror = () => {
    link(false);
    // A refusal ends it for good; look whether somebody is still logged in.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => attempt(null, start), 3000);
  };
  for (const type of ["narration", "alert", "alert_end", "update", "blind", "health", "camera"]) {
    source.addEventListener(type, (message) => {
      const event = JSON.parse(message.data);
      if (type === "alert") { $("alarm").dataset.id = event.id; $("alarm").textContent = `Alert, ${event.camera}: ${event.text}`; }
      bus.dispatchEvent(new CustomEvent("event", { detail: event }));
    });
  }
}

// Nobody is logged in (any more).
function leave() {
  source?.close();
  document.querySelector("nav").hidden = $("logout").hidden = true;
  $("link").textContent = "not logged in"; $("link").className = "";
  $("alarm").textContent = "";
  const first = !state.hello.claimed;
  const name = h("input", { name: "name", autocomplete: "username", required: true, value: first ? "admin" : "", readOnly: first });
  const password = h("input", { name: "password", type: "password", required: true, minLength: first ? 8 : 1, maxLength: 256, autocomplete: first ? "new-password" : "current-password" });
  const form = h("form", { className: "card", onsubmit: (event) => { event.preventDefault(); attempt(event.submitter, async () => {
    state.hello = await api("POST", first ? "/api/setup" : "/api/login", first ? { password: password.value } : { name: name.value, password: password.value });
    note("");
    await enter();
  }); } }, h("h2", {}, first ? "Set a password" : "Log in"),
    first ? h("p", { className: "dim" }, "This is the first run. Until a password is set the program can be reached from this machine alone.") : null,
    field("Name", name), field("Password", password), h("p", {}, h("button", { type: "submit" }, first ? "Set it" : "Log in")));
  $("main").replaceChildren(form);
  (first ? password : name).focus();
}

async function enter() {
  [state.about, state.stats] = await Promise.all([api("GET", "/api/version"), api("GET", "/api/stats")]);
  document.querySelector("nav").hidden = $("logout").hidden = false;
  document.querySelector('nav a[href="#recordings"]').hidden = !state.about.recording;
  document.querySelector('nav a[href="#cameras"]').hidden = !may("operator");
  listen();
  show();
}

async function start() {
  state.hello = await api("GET", "/api/session");
  if (state.hello.name) await enter(); else leave();
}

$("logout").addEventListener("click", (click) => attempt(click.target, async () => {
  await api("POST", "/api/logout");
  state.hello = { claimed: true, name: null };
  leave();
}));
addEventListener("hashchange", () => { show(); $("main").focus(); });
start().catch((error) => { note(error.message); setTimeout(() => location.reload(), 5000); });
