/** Lets `perSecond` things pass each second, with a burst of as many. Time is monotonic milliseconds. */
export function createPace(perSecond: number, now: () => number = () => performance.now()): { admits(): boolean } {
  let tokens = perSecond;
  let last = now();
  return {
    admits() {
      const at = now();
      tokens = Math.min(perSecond, tokens + ((at - last) * perSecond) / 1_000);
      last = at;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}

interface LinkLife {
  /** How long the connection worked; 0 when it never did. */
  upMs: number;
}

/** A connection that lived this long was healthy: the next failure starts from the shortest wait again. */
const stableMs = 20_000;
const unreachableCapMs = 5_000;
/**
 * Two processes with one client id kick each other out for ever, as the protocol demands (MQTT 3.1.1, 3.1.4-2). A
 * connection that keeps dying young therefore waits much longer than a broker that is only down.
 */
const kickedCapMs = 60_000;

/** How long to wait before the next attempt, with full jitter above a half. */
export function createBackoff(random: () => number = Math.random): { after(life: LinkLife): number } {
  let unreachable = 0;
  let kicked = 0;
  return {
    after({ upMs }) {
      if (upMs >= stableMs) {
        unreachable = 0;
        kicked = 0;
      }
      if (upMs > 0) {
        unreachable = 0;
        kicked += 1;
      } else {
        unreachable += 1;
      }
      const cap =
        upMs > 0 ? Math.min(kickedCapMs, 100 * 2 ** kicked) : Math.min(unreachableCapMs, 50 * 2 ** unreachable);
      return cap * (0.5 + random() / 2);
    },
  };
}
