// WHEP (draft-ietf-wish-whep): one offer, one answer, one DELETE.

/** The server said no. `status` is HTTP's; trying again helps only where `retry` is true. */
export class WhepRefusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.name = "WhepRefusal";
    this.status = status;
  }

  get retry(): boolean {
    return this.status >= 500 || this.status === 408 || this.status === 429;
  }
}

/** Candidates of this machine come within milliseconds; nobody waits longer for a slow one. */
const GATHER_TIMEOUT_MS = 1_000;

/** Negotiates `connection` with the server at `url`; returns the address to DELETE at the end. */
export async function negotiate(
  connection: RTCPeerConnection,
  url: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  await connection.setLocalDescription(await connection.createOffer());
  await gathered(connection);
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", ...bearer(token) },
    body: connection.localDescription?.sdp ?? "",
    signal,
  });
  if (response.status !== 201) {
    throw new WhepRefusal(response.status, await reason(response));
  }
  const location = response.headers.get("Location");
  const session = location === null ? undefined : new URL(location, url).href;
  try {
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
  } catch (error) {
    if (session !== undefined) hangUp(session, token);
    throw error;
  }
  return session;
}

/** Tells the server that this viewer leaves; works while the page unloads, too. */
export function hangUp(session: string, token: string | undefined): void {
  // A server that is gone already has freed the place by itself.
  fetch(session, { method: "DELETE", headers: bearer(token), keepalive: true }).catch(() => {});
}

function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

function gathered(connection: RTCPeerConnection): Promise<void> {
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

/** The server's words, from its JSON where there is one. */
async function reason(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "reason" in body) return String(body.reason);
  } catch {
    // Not JSON: a proxy's page, perhaps.
  }
  return `the server answered ${response.status} ${response.statusText}`;
}
