// src/input.ts
var CLICK_TRAVEL_PIXELS = 4;
var InputCapture = class {
  #target;
  #send;
  #stopped = new AbortController();
  #keys = /* @__PURE__ */ new Set();
  #buttons = /* @__PURE__ */ new Set();
  #dx = 0;
  #dy = 0;
  #flushing = false;
  #travel = 0;
  constructor(target, send) {
    this.#target = target;
    this.#send = send;
    const options = { signal: this.#stopped.signal };
    window.addEventListener("keydown", (event) => this.#onKey(event, true), options);
    window.addEventListener("keyup", (event) => this.#onKey(event, false), options);
    window.addEventListener("blur", () => this.release(), options);
    target.addEventListener("pointerdown", (event) => this.#onPress(event), options);
    target.addEventListener("pointermove", (event) => this.#onMove(event), options);
    target.addEventListener("pointerup", (event) => this.#onRelease(event), options);
    target.addEventListener("pointercancel", () => this.release(), options);
    target.addEventListener("contextmenu", (event) => event.preventDefault(), options);
    target.addEventListener("wheel", (event) => this.#onWheel(event), { ...options, passive: false });
  }
  /** Releases everything that is held, so that nothing sticks while the page is away. */
  release() {
    for (const code of this.#keys) this.#send({ t: "key", code, down: false });
    for (const button of this.#buttons) this.#send({ t: "button", button, down: false });
    this.#keys.clear();
    this.#buttons.clear();
  }
  stop() {
    this.release();
    this.#stopped.abort();
    if (document.pointerLockElement === this.#target) document.exitPointerLock();
  }
  #onKey(event, down) {
    const elsewhere = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, [contenteditable]") !== null;
    if (down && (elsewhere || event.ctrlKey || event.metaKey || event.altKey)) return;
    if (event.code === "" || this.#keys.has(event.code) === down) return;
    if (down) this.#keys.add(event.code);
    else this.#keys.delete(event.code);
    event.preventDefault();
    this.#send({ t: "key", code: event.code, down });
  }
  #onPress(event) {
    if (!this.#locked()) this.#target.setPointerCapture(event.pointerId);
    this.#travel = 0;
    this.#buttons.add(event.button);
    this.#send({ t: "button", button: event.button, down: true });
  }
  #onMove(event) {
    if (!this.#locked() && this.#buttons.size === 0) return;
    this.#travel += Math.abs(event.movementX) + Math.abs(event.movementY);
    this.#dx += event.movementX;
    this.#dy += event.movementY;
    if (this.#flushing) return;
    this.#flushing = true;
    requestAnimationFrame(() => {
      this.#flushing = false;
      this.#send({ t: "move", dx: this.#dx, dy: this.#dy });
      this.#dx = 0;
      this.#dy = 0;
    });
  }
  #onRelease(event) {
    if (!this.#buttons.delete(event.button)) return;
    this.#send({ t: "button", button: event.button, down: false });
    const click = event.button === 0 && event.pointerType === "mouse" && this.#travel < CLICK_TRAVEL_PIXELS;
    if (click && !this.#locked()) {
      Promise.resolve(this.#target.requestPointerLock()).catch(() => {
      });
    }
  }
  #onWheel(event) {
    event.preventDefault();
    this.#send({ t: "wheel", dx: event.deltaX, dy: event.deltaY });
  }
  #locked() {
    return document.pointerLockElement === this.#target;
  }
};

// src/stats.ts
var StatsReader = class {
  #last;
  /** `undefined` at the first call: rates need two. */
  async read(connection) {
    const report = await connection.getStats();
    let stats;
    let roundTripMs;
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp" && entry.kind === "video") {
        const now = {
          timestamp: entry.timestamp,
          framesDecoded: entry.framesDecoded ?? 0,
          bytesReceived: entry.bytesReceived ?? 0,
          jitterBufferDelay: entry.jitterBufferDelay ?? 0,
          jitterBufferEmittedCount: entry.jitterBufferEmittedCount ?? 0
        };
        const last = this.#last;
        this.#last = now;
        if (last === void 0) continue;
        const seconds = Math.max((now.timestamp - last.timestamp) / 1e3, 1e-3);
        const emitted = now.jitterBufferEmittedCount - last.jitterBufferEmittedCount;
        const waited = now.jitterBufferDelay - last.jitterBufferDelay;
        stats = {
          framesDecoded: now.framesDecoded,
          framesDropped: entry.framesDropped ?? 0,
          freezes: entry.freezeCount ?? 0,
          fps: (now.framesDecoded - last.framesDecoded) / seconds,
          jitterBufferMs: emitted > 0 ? waited / emitted * 1e3 : 0,
          bitrateBps: (now.bytesReceived - last.bytesReceived) * 8 / seconds,
          roundTripMs: void 0,
          width: entry.frameWidth ?? 0,
          height: entry.frameHeight ?? 0
        };
      }
      if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== void 0) {
        roundTripMs = entry.currentRoundTripTime * 1e3;
      }
    }
    return stats && { ...stats, roundTripMs };
  }
};

// src/whep.ts
var WhepRefusal = class extends Error {
  status;
  constructor(status, reason2) {
    super(reason2);
    this.name = "WhepRefusal";
    this.status = status;
  }
  get retry() {
    return this.status >= 500 || this.status === 408 || this.status === 429;
  }
};
var GATHER_TIMEOUT_MS = 1e3;
async function negotiate(connection, url, token, signal) {
  await connection.setLocalDescription(await connection.createOffer());
  await gathered(connection);
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", ...bearer(token) },
    body: connection.localDescription?.sdp ?? "",
    signal
  });
  if (response.status !== 201) {
    throw new WhepRefusal(response.status, await reason(response));
  }
  const location2 = response.headers.get("Location");
  const session = location2 === null ? void 0 : new URL(location2, url).href;
  try {
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
  } catch (error) {
    if (session !== void 0) hangUp(session, token);
    throw error;
  }
  return session;
}
function hangUp(session, token) {
  fetch(session, { method: "DELETE", headers: bearer(token), keepalive: true }).catch(() => {
  });
}
function bearer(token) {
  return token === void 0 ? {} : { Authorization: `Bearer ${token}` };
}
function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_TIMEOUT_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") {
        clearTimeout(timer);
        resolve();
      }
    });
  });
}
async function reason(response) {
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    if (typeof body === "object" && body !== null && "reason" in body) return String(body.reason);
  } catch {
  }
  return `the server answered ${response.status} ${response.statusText}`;
}

// src/player.ts
var STATS_EVERY_MS = 1e3;
var FIRST_RETRY_MS = 500;
var LAST_RETRY_MS = 8e3;
var RECOVERY_MS = 3e3;
var MAX_TEXT_BYTES = 512;
var RayloomPlayer = class {
  #video;
  #options;
  #url = "";
  #token;
  #state = "idle";
  #attempt;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer;
  constructor(video, options = {}) {
    this.#video = video;
    this.#options = options;
    video.muted = true;
    video.playsInline = true;
    video.autoplay = true;
    window.addEventListener("pagehide", () => this.close());
  }
  get state() {
    return this.#state;
  }
  /** Connects to a WHEP address, and again whenever the connection breaks. */
  connect(url, token) {
    this.close();
    this.#url = new URL(url, location.href).href;
    this.#token = token;
    this.#retryMs = FIRST_RETRY_MS;
    this.#begin();
  }
  /** Leaves, and tells the server so. */
  close() {
    clearTimeout(this.#retryTimer);
    this.#attempt?.end(true);
    this.#attempt = void 0;
    this.#setState("idle", "");
  }
  /** Sends a text to the engine. False if it is too long or nobody is there. */
  sendText(text) {
    if (new TextEncoder().encode(text).length > MAX_TEXT_BYTES) return false;
    return this.#attempt?.send({ t: "text", text }) ?? false;
  }
  /** The connection of the moment, for measurements of one's own. */
  get connection() {
    return this.#attempt?.connection;
  }
  #begin() {
    this.#setState("connecting", "");
    const attempt = new Attempt(this.#video, this.#url, this.#token, {
      input: this.#options.input ?? true,
      onPlaying: () => {
        this.#retryMs = FIRST_RETRY_MS;
        this.#setState("playing", "");
      },
      onStats: (stats) => this.#options.onStats?.(stats),
      onMessage: (text) => this.#options.onMessage?.(text),
      onEnd: (reason2, retry) => {
        if (this.#attempt !== attempt) return;
        this.#attempt = void 0;
        if (!retry) {
          this.#setState("refused", reason2);
          return;
        }
        this.#setState("waiting", reason2);
        this.#retryTimer = setTimeout(() => this.#begin(), this.#retryMs * (1 + Math.random() / 2));
        this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      }
    });
    this.#attempt = attempt;
    attempt.begin();
  }
  #setState(state, detail) {
    if (state === this.#state && detail === "") return;
    this.#state = state;
    this.#options.onState?.(state, detail);
  }
};
var Attempt = class {
  connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  #video;
  #url;
  #token;
  #events;
  #channel;
  #stats = new StatsReader();
  #aborted = new AbortController();
  #session;
  #capture;
  #statsTimer;
  #recovery;
  #ended = false;
  constructor(video, url, token, events) {
    this.#video = video;
    this.#url = url;
    this.#token = token;
    this.#events = events;
    const { receiver } = this.connection.addTransceiver("video", { direction: "recvonly" });
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    this.#channel = this.connection.createDataChannel("input");
    this.#channel.addEventListener("open", () => {
      if (events.input && !this.#ended) {
        this.#capture = new InputCapture(video, (message) => this.send(message));
      }
    });
    this.#channel.addEventListener("message", (event) => this.#onMessage(event.data));
    this.#channel.addEventListener("close", () => this.#fail("the server closed the connection"));
    this.connection.addEventListener("track", (event) => {
      video.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      video.addEventListener("playing", () => this.#onPlaying(), { signal: this.#aborted.signal });
      video.play().catch(() => {
      });
    });
    this.connection.addEventListener("connectionstatechange", () => this.#onConnectionState());
  }
  begin() {
    negotiate(this.connection, this.#url, this.#token, this.#aborted.signal).then(
      (session) => {
        this.#session = session;
        if (this.#ended && session !== void 0) hangUp(session, this.#token);
      },
      (error) => {
        const retry = !(error instanceof WhepRefusal) || error.retry;
        this.#fail(error instanceof Error ? error.message : String(error), retry);
      }
    );
  }
  send(message) {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }
  /** Ends this attempt silently; `leave` tells the server as well. */
  end(leave) {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#statsTimer);
    clearTimeout(this.#recovery);
    this.#capture?.stop();
    if (leave && this.#session !== void 0) hangUp(this.#session, this.#token);
    this.#aborted.abort();
    this.connection.close();
    this.#video.srcObject = null;
  }
  #fail(reason2, retry = true) {
    if (this.#ended) return;
    this.end(true);
    this.#events.onEnd(reason2, retry);
  }
  #onPlaying() {
    if (this.#ended || this.#statsTimer !== void 0) return;
    this.#events.onPlaying();
    const read = async () => {
      const stats = await this.#stats.read(this.connection);
      if (stats !== void 0 && !this.#ended) this.#events.onStats(stats);
    };
    void read();
    this.#statsTimer = setInterval(read, STATS_EVERY_MS);
  }
  #onMessage(data) {
    if (typeof data !== "string") return;
    const message = JSON.parse(data);
    if (typeof message !== "object" || message === null || !("t" in message)) return;
    if (message.t === "bye") this.#fail("the stream has ended");
    if (message.t === "message" && "text" in message) this.#events.onMessage(String(message.text));
  }
  #onConnectionState() {
    clearTimeout(this.#recovery);
    const state = this.connection.connectionState;
    if (state === "failed") this.#fail("the connection failed: is UDP to the server open?");
    if (state === "disconnected") {
      this.#recovery = setTimeout(() => this.#fail("the server fell silent"), RECOVERY_MS);
    }
  }
};
export {
  RayloomPlayer
};
