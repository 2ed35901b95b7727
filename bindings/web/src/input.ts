// Keys, mouse and wheel over an element, as the messages that the server reads.

/** What the server understands, one JSON text a message. */
export type InputMessage =
  | { t: "key"; code: string; down: boolean }
  | { t: "move"; dx: number; dy: number }
  | { t: "button"; button: number; down: boolean }
  | { t: "wheel"; dx: number; dy: number }
  | { t: "text"; text: string };

/** A press that moved less than this is a click, and asks for the pointer lock. */
const CLICK_TRAVEL_PIXELS = 4;

/** Sends what the player does until `stop` is called. */
export class InputCapture {
  readonly #target: HTMLElement;
  readonly #send: (message: InputMessage) => void;
  readonly #stopped = new AbortController();
  readonly #keys = new Set<string>();
  readonly #buttons = new Set<number>();
  #dx = 0;
  #dy = 0;
  #flushing = false;
  #travel = 0;

  constructor(target: HTMLElement, send: (message: InputMessage) => void) {
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
  release(): void {
    for (const code of this.#keys) this.#send({ t: "key", code, down: false });
    for (const button of this.#buttons) this.#send({ t: "button", button, down: false });
    this.#keys.clear();
    this.#buttons.clear();
  }

  stop(): void {
    this.release();
    this.#stopped.abort();
    if (document.pointerLockElement === this.#target) document.exitPointerLock();
  }

  #onKey(event: KeyboardEvent, down: boolean): void {
    // Shortcuts belong to the browser, and text fields to the page around the video.
    const elsewhere = event.target instanceof HTMLElement &&
      event.target.closest("input, textarea, select, [contenteditable]") !== null;
    if (down && (elsewhere || event.ctrlKey || event.metaKey || event.altKey)) return;
    if (event.code === "" || this.#keys.has(event.code) === down) return;
    if (down) this.#keys.add(event.code);
    else this.#keys.delete(event.code);
    event.preventDefault();
    this.#send({ t: "key", code: event.code, down });
  }

  #onPress(event: PointerEvent): void {
    if (!this.#locked()) this.#target.setPointerCapture(event.pointerId);
    this.#travel = 0;
    this.#buttons.add(event.button);
    this.#send({ t: "button", button: event.button, down: true });
  }

  #onMove(event: PointerEvent): void {
    // Free movement steers nothing: the player drags, or locks the pointer.
    if (!this.#locked() && this.#buttons.size === 0) return;
    this.#travel += Math.abs(event.movementX) + Math.abs(event.movementY);
    this.#dx += event.movementX;
    this.#dy += event.movementY;
    if (this.#flushing) return;
    // One message a frame: a mouse reports up to 8,000 times a second.
    this.#flushing = true;
    requestAnimationFrame(() => {
      this.#flushing = false;
      this.#send({ t: "move", dx: this.#dx, dy: this.#dy });
      this.#dx = 0;
      this.#dy = 0;
    });
  }

  #onRelease(event: PointerEvent): void {
    if (!this.#buttons.delete(event.button)) return;
    this.#send({ t: "button", button: event.button, down: false });
    const click = event.button === 0 && event.pointerType === "mouse" &&
      this.#travel < CLICK_TRAVEL_PIXELS;
    if (click && !this.#locked()) {
      // Refused right after Escape, and where a frame forbids it: dragging works still.
      Promise.resolve(this.#target.requestPointerLock()).catch(() => {});
    }
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.#send({ t: "wheel", dx: event.deltaX, dy: event.deltaY });
  }

  #locked(): boolean {
    return document.pointerLockElement === this.#target;
  }
}
