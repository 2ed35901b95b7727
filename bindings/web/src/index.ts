// The library: what `rayloom.js` exports.

export { RayloomPlayer, type PlayerOptions, type PlayerState } from "./player.js";
export type { PlayerStats } from "./stats.js";
