/** A part that shows its state as properties, so that a test turns `part.isReady = false` while it runs. */
export function withSwitches<P extends object, S extends object>(part: P, state: S): P & S {
  for (const key of Object.keys(state) as (keyof S)[]) {
    Object.defineProperty(part, key, {
      get: () => state[key],
      set(value: S[keyof S]) {
        state[key] = value;
      },
      enumerable: true,
    });
  }
  return part as P & S;
}
