// Drives a real Chromium over the demo page. One argument, JSON: { url, token, chromium, pixels }.
// Prints one JSON line when it has seen everything ("watched"), writes the canvas's RGBA8 to the
// file `pixels`, and one more line when the page has heard that the stream ended ("ended").

import { writeFile } from "node:fs/promises";
import { launch } from "./browser.mjs";

const task = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const browser = await launch(task.chromium);
try {
  const page = await browser.newPage({ viewport: { width: 800, height: 600 } });
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  const started = Date.now();
  await page.goto(`${task.url}/#token=${task.token}`);
  const state = (wanted) =>
    page.waitForFunction((wanted) => window.rayloomPlayer?.state === wanted, wanted, { timeout: 30_000 });
  await state("playing");
  const firstFrameMs = Date.now() - started;

  const framesDecoded = () => page.evaluate(async () => {
    const report = await window.rayloomPlayer.connection.getStats();
    return [...report.values()].find((entry) => entry.type === "inbound-rtp")?.framesDecoded ?? 0;
  });
  const before = await framesDecoded();
  await page.evaluate(() => new Promise((resolve) => {
    const video = document.querySelector("video");
    let left = 40;
    const onFrame = () => (--left === 0 ? resolve() : video.requestVideoFrameCallback(onFrame));
    video.requestVideoFrameCallback(onFrame);
  }));
  const after = await framesDecoded();

  const canvas = await page.evaluate(() => {
    const video = document.querySelector("video");
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let bytes = "";
    for (let at = 0; at < data.length; at += 8192) {
      bytes += String.fromCharCode(...data.subarray(at, at + 8192));
    }
    return { width: canvas.width, height: canvas.height, base64: btoa(bytes) };
  });
  await writeFile(task.pixels, Buffer.from(canvas.base64, "base64"));

  // A stock WHEP player: no data channel, and it asks for sound, which the server must refuse
  // without refusing the picture.
  const stock = await page.evaluate(async (token) => {
    const connection = new RTCPeerConnection();
    const video = document.createElement("video");
    video.muted = true;
    connection.addEventListener("track", (event) => {
      if (event.track.kind === "video") video.srcObject = new MediaStream([event.track]);
    });
    connection.addTransceiver("audio", { direction: "recvonly" });
    connection.addTransceiver("video", { direction: "recvonly" });
    await connection.setLocalDescription();
    const response = await fetch("/whep", {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
      body: connection.localDescription.sdp,
    });
    const sdp = await response.text();
    await connection.setRemoteDescription({ type: "answer", sdp });
    await video.play();
    const { videoWidth } = video;
    await fetch(response.headers.get("Location"), {
      method: "DELETE",
      headers: { Authorization: `Bearer ${token}` },
    });
    connection.close();
    return { videoWidth, soundRefused: sdp.includes("m=audio 0 ") };
  }, task.token);

  await page.keyboard.down("w");
  await page.keyboard.up("w");
  await page.mouse.move(300, 300);
  await page.mouse.down();
  await page.mouse.move(340, 280, { steps: 4 });
  await page.mouse.up();
  await page.mouse.wheel(0, 120);
  await page.keyboard.down("1");
  await page.evaluate(() => window.rayloomPlayer.sendText("hello engine"));
  await page.waitForFunction(
    () => document.getElementById("engine").textContent === "hello page", undefined, { timeout: 30_000 });

  if (task.screenshot) await page.screenshot({ path: task.screenshot });
  say({
    phase: "watched",
    before,
    after,
    firstFrameMs,
    width: canvas.width,
    height: canvas.height,
    stock,
    problems,
  });
  await state("waiting");
  say({ phase: "ended", status: await page.textContent("#status") });
} finally {
  await browser.close();
}
