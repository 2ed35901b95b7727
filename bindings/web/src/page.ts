// The demo page: one player over the whole window, and a line of figures.

import { type PlayerState, RayloomPlayer } from "./index.js";

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

const video = element("video", HTMLVideoElement);
const status = element("status", HTMLElement);
const figures = element("figures", HTMLElement);
const engine = element("engine", HTMLElement);
const help = element("help", HTMLElement);

const words: Record<PlayerState, string> = {
  idle: "not connected",
  connecting: "connecting",
  playing: "live",
  waiting: "reconnecting",
  refused: "refused",
};

const player = new RayloomPlayer(video, {
  onState(state, detail) {
    document.body.dataset.state = state;
    status.textContent = detail === "" ? words[state] : `${words[state]}: ${detail}`;
    if (state !== "playing") figures.textContent = "";
  },
  onStats(stats) {
    const figure = (value: number, unit: string, digits = 0) => `${value.toFixed(digits)} ${unit}`;
    figures.textContent = [
      `${stats.width}×${stats.height}`,
      figure(stats.fps, "fps"),
      figure(stats.bitrateBps / 1e6, "Mbit/s", 1),
      `buffer ${figure(stats.jitterBufferMs, "ms")}`,
      ...(stats.roundTripMs === undefined ? [] : [`round trip ${figure(stats.roundTripMs, "ms", 1)}`]),
      ...(stats.freezes === 0 ? [] : [`${stats.freezes} freezes`]),
    ].join(" · ");
  },
  onMessage(text) {
    engine.textContent = text;
  },
});

window.addEventListener("keydown", (event) => {
  if (event.code === "KeyH" && !event.repeat) help.hidden = !help.hidden;
});

// The token stays in the fragment, which browsers never send, so no server logs it.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? undefined;
player.connect("/whep", token);

// For the console, and for tests.
Object.assign(window, { rayloomPlayer: player });
