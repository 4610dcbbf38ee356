import { Presets } from '#config/preset.ts';

/** The presets that stand for what these units run: of the unit's own name, or with this unit as their default. */
export function presetsFor(units: readonly string[], presets = new Presets()): string[] {
  const names = presets.names();
  const byUnit = new Map(names.map((name) => [name, name]));
  for (const name of names) {
    const preset = presets.get(name);
    const unit = typeof preset === 'string' ? undefined : preset.parameters['unit']?.default;
    if (typeof unit === 'string') byUnit.set(unit.replace(/\.service$/, ''), name);
  }
  const found = units.flatMap((unit) => {
    const own = unit.replace(/\.service$/, '');
    return byUnit.get(own) ?? byUnit.get(own.replace(/@.*$/, '')) ?? [];
  });
  return [...new Set(found)].toSorted();
}
