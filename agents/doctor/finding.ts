import { visibleLine } from '../triage/render/visible.ts';

/**
 * One thing that was looked at. Contract: `mend` is there whenever it is not ok and a person can do something; lines after
 * its first are to be copied as they are.
 */
export interface Finding {
  subject: string;
  ok: boolean;
  text: string;
  mend?: string;
}

/** The finding in a terminal. */
export function findingLines({ ok, subject, text, mend }: Finding): string[] {
  const line = `${ok ? 'ok   ' : 'FAULT'}  ${subject.padEnd(18)}  ${visibleLine(text)}`;
  if (mend === undefined) return [line];
  const [first = '', ...further] = mend.split('\n').map(visibleLine);
  return [line, `       mend: ${first}`, ...further.map((text) => `         ${text}`)];
}
