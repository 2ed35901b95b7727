// A stream in a <video>: connects, sends input, counts, and comes back after a break.

import { InputCapture, type InputMessage } from "./input.js";
import { type PlayerStats, StatsReader } from "./stats.js";
import { hangUp, negotiate, WhepRefusal } from "./whep.js";

export type PlayerState =
  /** Not connected, and not trying to. */
  | "idle"
  | "connecting"
  /** Frames arrive. */
  | "playing"
  /** The connection broke; another attempt follows by itself. */
  | "waiting"
  /** The server said no: `detail` is its reason. Nothing follows by itself. */
  | "refused";

export interface PlayerOptions {
  onState?: (state: PlayerState, detail: string) => void;
  /** Once a second while frames arrive. */
  onStats?: (stats: PlayerStats) => void;
  /** Texts that the engine sends to its pages. */
  onMessage?: (text: string) => void;
  /** Whether to send keys, mouse and wheel; true if left out. */
  input?: boolean;
}

const STATS_EVERY_MS = 1_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;
/** ICE may recover from "disconnected" by itself; this long it may try. */
const RECOVERY_MS = 3_000;
/** The longest message that the server takes, bytes. */
const MAX_TEXT_BYTES = 512;

/**
 * Plays a stream.
 *
 *     const player = new RayloomPlayer(document.querySelector("video"), { onState: console.log });
 *     player.connect("/whep", token);
 */
export class RayloomPlayer {
  readonly #video: HTMLVideoElement;
  readonly #options: PlayerOptions;
  #url = "";
  #token: string | undefined;
  #state: PlayerState = "idle";
  #attempt: Attempt | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(video: HTMLVideoElement, options: PlayerOptions = {}) {
    this.#video = video;
    this.#options = options;
    // Sound would need a click first; there is none in the stream yet.
    video.muted = true;
    video.playsInline = true;
    video.autoplay = true;
    window.addEventListener("pagehide", () => this.close());
  }

  get state(): PlayerState {
    return this.#state;
  }

  /** Connects to a WHEP address, and again whenever the connection breaks. */
  connect(url: string | URL, token?: string): void {
    this.close();
    this.#url = new URL(url, location.href).href;
    this.#token = token;
    this.#retryMs = FIRST_RETRY_MS;
    this.#begin();
  }

  /** Leaves, and tells the server so. */
  close(): void {
    clearTimeout(this.#retryTimer);
    this.#attempt?.end(true);
    this.#attempt = undefined;
    this.#setState("idle", "");
  }

  /** Sends a text to the engine. False if it is too long or nobody is there. */
  sendText(text: string): boolean {
    if (new TextEncoder().encode(text).length > MAX_TEXT_BYTES) return false;
    return this.#attempt?.send({ t: "text", text }) ?? false;
  }

  /** The connection of the moment, for measurements of one's own. */
  get connection(): RTCPeerConnection | undefined {
    return this.#attempt?.connection;
  }

  #begin(): void {
    this.#setState("connecting", "");
    const attempt: Attempt = new Attempt(this.#video, this.#url, this.#token, {
      input: this.#options.input ?? true,
      onPlaying: () => {
        this.#retryMs = FIRST_RETRY_MS;
        this.#setState("playing", "");
      },
      onStats: (stats) => this.#options.onStats?.(stats),
      onMessage: (text) => this.#options.onMessage?.(text),
      onEnd: (reason, retry) => {
        if (this.#attempt !== attempt) return;
        this.#attempt = undefined;
        if (!retry) {
          this.#setState("refused", reason);
          return;
        }
        this.#setState("waiting", reason);
        // Up to a half more, so that many pages don't come back in one moment.
        this.#retryTimer = setTimeout(() => this.#begin(), this.#retryMs * (1 + Math.random() / 2));
        this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      },
    });
    this.#attempt = attempt;
    attempt.begin();
  }

  #setState(state: PlayerState, detail: string): void {
    if (state === this.#state && detail === "") return;
    this.#state = state;
    this.#options.onState?.(state, detail);
  }
}

interface AttemptEvents {
  input: boolean;
  onPlaying(): void;
  onStats(stats: PlayerStats): void;
  onMessage(text: string): void;
  onEnd(reason: string, retry: boolean): void;
}

/** One connection, from its offer to its end. */
class Attempt {
  readonly connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  readonly #video: HTMLVideoElement;
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #events: AttemptEvents;
  readonly #channel: RTCDataChannel;
  readonly #stats = new StatsReader();
  readonly #aborted = new AbortController();
  #session: string | undefined;
  #capture: InputCapture | undefined;
  #statsTimer: ReturnType<typeof setInterval> | undefined;
  #recovery: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(video: HTMLVideoElement, url: string, token: string | undefined, events: AttemptEvents) {
    this.#video = video;
    this.#url = url;
    this.#token = token;
    this.#events = events;
    const { receiver } = this.connection.addTransceiver("video", { direction: "recvonly" });
    // As soon as a frame is whole it is shown: the browser's own choice adds 50 ms and more.
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
      // A browser that forbids autoplay starts at the first click.
      video.play().catch(() => {});
    });
    this.connection.addEventListener("connectionstatechange", () => this.#onConnectionState());
  }

  begin(): void {
    negotiate(this.connection, this.#url, this.#token, this.#aborted.signal).then(
      (session) => {
        this.#session = session;
        if (this.#ended && session !== undefined) hangUp(session, this.#token);
      },
      (error: unknown) => {
        const retry = !(error instanceof WhepRefusal) || error.retry;
        this.#fail(error instanceof Error ? error.message : String(error), retry);
      },
    );
  }

  send(message: InputMessage): boolean {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  /** Ends this attempt silently; `leave` tells the server as well. */
  end(leave: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#statsTimer);
    clearTimeout(this.#recovery);
    this.#capture?.stop();
    if (leave && this.#session !== undefined) hangUp(this.#session, this.#token);
    this.#aborted.abort();
    this.connection.close();
    this.#video.srcObject = null;
  }

  #fail(reason: string, retry = true): void {
    if (this.#ended) return;
    this.end(true);
    this.#events.onEnd(reason, retry);
  }

  #onPlaying(): void {
    if (this.#ended || this.#statsTimer !== undefined) return;
    this.#events.onPlaying();
    const read = async () => {
      const stats = await this.#stats.read(this.connection);
      if (stats !== undefined && !this.#ended) this.#events.onStats(stats);
    };
    void read();
    this.#statsTimer = setInterval(read, STATS_EVERY_MS);
  }

  #onMessage(data: unknown): void {
    if (typeof data !== "string") return;
    const message: unknown = JSON.parse(data);
    if (typeof message !== "object" || message === null || !("t" in message)) return;
    if (message.t === "bye") this.#fail("the stream has ended");
    if (message.t === "message" && "text" in message) this.#events.onMessage(String(message.text));
  }

  #onConnectionState(): void {
    clearTimeout(this.#recovery);
    const state = this.connection.connectionState;
    if (state === "failed") this.#fail("the connection failed: is UDP to the server open?");
    if (state === "disconnected") {
      this.#recovery = setTimeout(() => this.#fail("the server fell silent"), RECOVERY_MS);
    }
  }
}
