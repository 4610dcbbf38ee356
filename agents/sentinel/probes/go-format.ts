/** A value of a template. Go's integers are `bigint`, its floats `number`. */
export type GoValue = string | number | bigint | boolean | undefined | readonly GoValue[] | GoMap | Date;
export type GoMap = ReadonlyMap<string, GoValue>;

/** What a template cannot do here, or never could: the text then stays as it is. */
export class TemplateFault extends Error {}

/** A value as `{{ . }}` prints it. */
export function goText(value: GoValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return shortestFloat(value);
  if (value === undefined) return '<no value>';
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Date) return timeText(value);
  if (value instanceof Map) {
    const entries = sortedEntries(value as GoMap).map(([key, one]) => `${key}:${goText(one)}`);
    return `map[${entries.join(' ')}]`;
  }
  return `[${(value as readonly GoValue[]).map(goText).join(' ')}]`;
}

/** Go visits maps in the order of their keys. */
export function sortedEntries(map: GoMap): [string, GoValue][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function timeText(at: Date): string {
  const [day = '', time = ''] = at.toISOString().replace('Z', '').split('T');
  return `${day} ${time.replace(/\.?0+$/, '')} +0000 UTC`;
}

/** Go's `%v` of a float64: the fewest digits that are exact, with an exponent from 1e6 on and below 1e-4. */
function shortestFloat(value: number): string {
  return special(value) ?? withExponent(value.toExponential(), value, 6);
}

/** Go's `%.4g`. */
export function significant(value: number, digits: number): string {
  return special(value) ?? withExponent(value.toExponential(Math.max(0, digits - 1)), value, Math.max(1, digits));
}

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? '+Inf' : '-Inf';
}

/** `%g` of a number already rounded: an exponent only where it is small or at least `from`; no zeros at the end. */
function withExponent(exponential: string, value: number, from: number): string {
  const [mantissa = '0', power = '0'] = exponential.split('e');
  const exponent = Number(power);
  const digits = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
  if (exponent < -4 || exponent >= from) return `${digits}e${twoDigits(exponent)}`;
  const places = Math.max(0, (digits.split('.')[1] ?? '').length - exponent);
  return Object.is(value, -0) ? '-0' : Number(exponential).toFixed(Math.min(100, places));
}

function twoDigits(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

const verb = /%([-+# 0]*)(\d{1,3})?(?:\.(\d{0,2}))?([a-zA-Z%])/g;

/** Go's `printf`. What does not fit its verb is printed as Go does: `%!d(string=x)`. */
export function goPrintf(format: string, values: readonly GoValue[]): string {
  const left = [...values];
  return format.replaceAll(verb, (...groups: (string | undefined)[]) => {
    const [, flags = '', width = '0', precision, letter = ''] = groups;
    if (letter === '%') return '%';
    if (left.length === 0) return `%!${letter}(MISSING)`;
    const text = verbText(letter, left.shift(), {
      flags,
      precision: precision === undefined ? undefined : Number(precision),
    });
    return padded(text, flags, Number(width));
  });
}

function padded(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0') || !/^[-+]?[\d.]+$/.test(text)) return text.padStart(width);
  const sign = /^[-+]/.exec(text)?.[0] ?? '';
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}

interface Shape {
  flags: string;
  precision: number | undefined;
}

function verbText(letter: string, value: GoValue, shape: Shape): string {
  if ('vs'.includes(letter)) return stringVerb(letter, value, shape);
  if (letter === 'q' && typeof value === 'string') return JSON.stringify(value);
  if (letter === 't' && typeof value === 'boolean') return String(value);
  if ('dxX'.includes(letter) && typeof value === 'bigint') return integerVerb(letter, value, shape);
  if ('fFeg'.includes(letter) && typeof value === 'number') {
    return signed(floatVerb(letter, value, shape.precision), shape);
  }
  return wrongVerb(letter, value);
}

function stringVerb(letter: string, value: GoValue, { precision }: Shape): string {
  if (letter === 's' && typeof value !== 'string' && !(value instanceof Map) && !Array.isArray(value)) {
    return wrongVerb(letter, value);
  }
  if (typeof value === 'number' && precision !== undefined) return significant(value, precision);
  const text = goText(value);
  return precision === undefined || typeof value !== 'string' ? text : Array.from(text).slice(0, precision).join('');
}

function integerVerb(letter: string, value: bigint, shape: Shape): string {
  if (letter === 'd') return signed(String(value), shape);
  const text = value.toString(16);
  return letter === 'X' ? text.toUpperCase() : text;
}

function signed(text: string, { flags }: Shape): string {
  return flags.includes('+') && /^\d/.test(text) ? `+${text}` : text;
}

function floatVerb(letter: string, value: number, precision: number | undefined): string {
  const other = special(value);
  if (other !== undefined) return other;
  if (letter === 'g') return precision === undefined ? shortestFloat(value) : significant(value, precision);
  if (letter === 'e') {
    const [mantissa = '', power = '0'] = value.toExponential(precision ?? 6).split('e');
    return `${mantissa}e${twoDigits(Number(power))}`;
  }
  return fixed(value, precision ?? 6);
}

/** `toFixed` writes an exponent from 1e21 on; Go writes all digits. */
function fixed(value: number, places: number): string {
  if (Math.abs(value) < 1e21) return value.toFixed(places);
  return `${BigInt(value)}${places === 0 ? '' : `.${'0'.repeat(places)}`}`;
}

function wrongVerb(letter: string, value: GoValue): string {
  return value === undefined ? `%!${letter}(<nil>)` : `%!${letter}(${goType(value)}=${goText(value)})`;
}

function goType(value: GoValue): string {
  if (typeof value === 'number') return 'float64';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' ? 'string' : 'map[string]string';
}
