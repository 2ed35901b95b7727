// Measures a stream in a real Chromium. One argument, JSON: { url, chromium, seconds, presses }.
// The picture carries 32 blocks of 16x16 pixels in its top left corner: 24 bits of time in units
// of 0.1 ms (Unix time, modulo), then 8 bits that count the key presses which the engine has seen.
// Prints one JSON line.

import { launch } from "../../tests/clients/browser.mjs";

const task = JSON.parse(process.argv[2]);
const browser = await launch(task.chromium);
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
  await page.goto(task.url);
  const figures = await page.evaluate(async ({ seconds, presses }) => {
    const BLOCK = 16;
    const BITS = 32;
    const WRAP = 2 ** 24;
    const now = () => performance.timeOrigin + performance.now();
    const player = window.rayloomPlayer;
    const video = document.querySelector("video");
    const canvas = document.createElement("canvas");
    canvas.width = BITS * BLOCK;
    canvas.height = BLOCK;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const read = () => {
      context.drawImage(video, 0, 0, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
      const { data } = context.getImageData(0, BLOCK / 2, canvas.width, 1);
      let bits = 0;
      for (let bit = 0; bit < BITS; bit += 1) {
        bits = bits * 2 + (data[(bit * BLOCK + BLOCK / 2) * 4] > 127 ? 1 : 0);
      }
      return { time: Math.floor(bits / 256), presses: bits % 256 };
    };
    const frame = () => new Promise((resolve) => video.requestVideoFrameCallback(() => resolve(now())));
    const totals = async () => {
      const report = await player.connection.getStats();
      return [...report.values()].find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    };

    await frame();
    const firstFrameMs = performance.now();
    // The start's own IDR and jitter are not what a player sees for the rest of the hour.
    const settled = now() + 2_000;
    while (now() < settled) await frame();

    const before = await totals();
    const start = now();
    const latencies = [];
    while (now() < start + seconds * 1_000) {
      const shown = await frame();
      const code = read().time;
      const age = (Math.floor(shown * 10) - code) % WRAP;
      latencies.push(((age + WRAP) % WRAP) / 10);
    }
    const after = await totals();
    const elapsed = (now() - start) / 1_000;

    const photons = [];
    for (let press = 0; press < presses; press += 1) {
      const wanted = (read().presses + 1) % 256;
      const pressed = now();
      window.dispatchEvent(new KeyboardEvent("keydown", { code: "KeyP" }));
      window.dispatchEvent(new KeyboardEvent("keyup", { code: "KeyP" }));
      for (;;) {
        const shown = await frame();
        if (read().presses === wanted) {
          photons.push(shown - pressed);
          break;
        }
        if (shown > pressed + 5_000) throw new Error("a key press was not answered");
      }
    }
    const emitted = after.jitterBufferEmittedCount - before.jitterBufferEmittedCount;
    return {
      firstFrameMs,
      latencies,
      photons,
      fps: (after.framesDecoded - before.framesDecoded) / elapsed,
      decoded: after.framesDecoded - before.framesDecoded,
      received: after.framesReceived - before.framesReceived,
      freezes: after.freezeCount - before.freezeCount,
      jitterBufferMs: ((after.jitterBufferDelay - before.jitterBufferDelay) / emitted) * 1_000,
      screen: { width: video.videoWidth, height: video.videoHeight },
    };
  }, task);
  process.stdout.write(`${JSON.stringify(figures)}\n`);
} finally {
  await browser.close();
}
