import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BoundedOutput } from './bounded-output.ts';

function collect(limit: number, chunks: readonly Buffer[]): BoundedOutput {
  const output = new BoundedOutput(limit);
  for (const chunk of chunks) output.push(chunk);
  return output;
}

describe('bounded output', () => {
  it('what fits stays whole, also when a character was cut between chunks', () => {
    const bytes = Buffer.from('größe 🦉');
    const output = collect(
      100,
      [...bytes].map((byte) => Buffer.from([byte])),
    );
    expect(output.text()).toBe('größe 🦉');
    expect(output.truncated).toBe(false);
  });

  it('the beginning and the end of any stream are kept, whatever the chunks', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 30 });
    const property = fc.property(sizes, fc.integer({ min: 2, max: 60 }), (lengths, limit) => {
      let next = 0;
      const chunks = lengths.map((length) => Buffer.from(Array.from({ length }, () => 97 + (next++ % 26))));
      const all = Buffer.concat(chunks).toString();
      const output = collect(limit, chunks);
      if (all.length <= limit) return output.text() === all && !output.truncated;
      const head = all.slice(0, Math.floor(limit / 2));
      const tail = all.slice(all.length - (limit - head.length));
      return output.text() === `${head}\n[${all.length - limit} bytes left out]\n${tail}` && output.truncated;
    });
    expect(fc.check(property).counterexample).toBeNull();
  });
});
