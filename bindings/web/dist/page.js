// src/page.ts
import { RayloomPlayer } from "./rayloom.js";
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}
var video = element("video", HTMLVideoElement);
var status = element("status", HTMLElement);
var figures = element("figures", HTMLElement);
var engine = element("engine", HTMLElement);
var help = element("help", HTMLElement);
var words = {
  idle: "not connected",
  connecting: "connecting",
  playing: "live",
  waiting: "reconnecting",
  refused: "refused"
};
var player = new RayloomPlayer(video, {
  onState(state, detail) {
    document.body.dataset.state = state;
    status.textContent = detail === "" ? words[state] : `${words[state]}: ${detail}`;
    if (state !== "playing") figures.textContent = "";
  },
  onStats(stats) {
    const figure = (value, unit, digits = 0) => `${value.toFixed(digits)} ${unit}`;
    figures.textContent = [
      `${stats.width}×${stats.height}`,
      figure(stats.fps, "fps"),
      figure(stats.bitrateBps / 1e6, "Mbit/s", 1),
      `buffer ${figure(stats.jitterBufferMs, "ms")}`,
      ...stats.roundTripMs === void 0 ? [] : [`round trip ${figure(stats.roundTripMs, "ms", 1)}`],
      ...stats.freezes === 0 ? [] : [`${stats.freezes} freezes`]
    ].join(" · ");
  },
  onMessage(text) {
    engine.textContent = text;
  }
});
window.addEventListener("keydown", (event) => {
  if (event.code === "KeyH" && !event.repeat) help.hidden = !help.hidden;
});
var token = new URLSearchParams(location.hash.slice(1)).get("token") ?? void 0;
player.connect("/whep", token);
Object.assign(window, { rayloomPlayer: player });
