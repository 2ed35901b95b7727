// A real Chromium for tests and benches: headless, silent, driven by the playwright-core of bindings/web.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../bindings/web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

export const launch = (executablePath) =>
  chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
