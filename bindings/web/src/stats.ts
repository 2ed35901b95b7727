// What the browser measured about the video, once a second.

export interface PlayerStats {
  /** Frames decoded since the connection began. */
  framesDecoded: number;
  /** Frames that came too late to be shown. */
  framesDropped: number;
  /** Times the picture stood still for noticeably longer than a frame. */
  freezes: number;
  /** Frames decoded a second, over the last interval. */
  fps: number;
  /** Mean time a frame waited in the jitter buffer over the last interval, milliseconds. */
  jitterBufferMs: number;
  /** Bits received a second over the last interval. */
  bitrateBps: number;
  /** Round trip to the server, milliseconds; `undefined` before the first measurement. */
  roundTripMs: number | undefined;
  /** Pixels. */
  width: number;
  height: number;
}

interface Totals {
  timestamp: number;
  framesDecoded: number;
  bytesReceived: number;
  jitterBufferDelay: number;
  jitterBufferEmittedCount: number;
}

/** Turns the growing totals of `getStats` into rates. */
export class StatsReader {
  #last: Totals | undefined;

  /** `undefined` at the first call: rates need two. */
  async read(connection: RTCPeerConnection): Promise<PlayerStats | undefined> {
    const report = await connection.getStats();
    let stats: PlayerStats | undefined;
    let roundTripMs: number | undefined;
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp" && entry.kind === "video") {
        const now: Totals = {
          timestamp: entry.timestamp,
          framesDecoded: entry.framesDecoded ?? 0,
          bytesReceived: entry.bytesReceived ?? 0,
          jitterBufferDelay: entry.jitterBufferDelay ?? 0,
          jitterBufferEmittedCount: entry.jitterBufferEmittedCount ?? 0,
        };
        const last = this.#last;
        this.#last = now;
        if (last === undefined) continue;
        const seconds = Math.max((now.timestamp - last.timestamp) / 1_000, 1e-3);
        const emitted = now.jitterBufferEmittedCount - last.jitterBufferEmittedCount;
        const waited = now.jitterBufferDelay - last.jitterBufferDelay;
        stats = {
          framesDecoded: now.framesDecoded,
          framesDropped: entry.framesDropped ?? 0,
          freezes: entry.freezeCount ?? 0,
          fps: (now.framesDecoded - last.framesDecoded) / seconds,
          jitterBufferMs: emitted > 0 ? (waited / emitted) * 1_000 : 0,
          bitrateBps: ((now.bytesReceived - last.bytesReceived) * 8) / seconds,
          roundTripMs: undefined,
          width: entry.frameWidth ?? 0,
          height: entry.frameHeight ?? 0,
        };
      }
      if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
        roundTripMs = entry.currentRoundTripTime * 1_000;
      }
    }
    return stats && { ...stats, roundTripMs };
  }
}
