import { Labels } from '#bus/fields.ts';
import { scrub } from '#bus/scrub.ts';
import { oneLine } from '#agents/sentinel/probes/text.ts';

const maximumName = 128;
const maximumValue = 1_000;

/** Foreign labels as findings may carry them: names as Prometheus wrote them before 3.0, no secrets, bounded. */
export function safeLabels(labels: Readonly<Record<string, string>>): Labels {
  const safe: Labels = {};
  for (const [name, value] of Object.entries(labels)) {
    const plain = name.replaceAll(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_');
    const one = { [plain.slice(0, maximumName)]: scrubbedValue(name, value) };
    if (Labels.safeParse(one).success) Object.assign(safe, one);
  }
  return safe;
}

/** A label's value without secrets. A label named `token` holds one: the name says so, not the value. */
export function scrubbedValue(name: string, value: string): string {
  const cut = value.slice(0, 4 * maximumValue);
  const prefix = `${name.slice(-40)}=`;
  const clean = scrub(`${prefix}${cut}`);
  return oneLine(clean.startsWith(prefix) ? clean.slice(prefix.length) : scrub(cut), maximumValue);
}

/** Foreign text as one bounded line without secrets. */
export function safeLine(text: string, maximum = 500): string {
  return oneLine(scrub(text.slice(0, 4 * maximum)), maximum);
}
