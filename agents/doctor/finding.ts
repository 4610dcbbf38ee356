import { visibleLine } from '../triage/render/visible.ts';

/** One thing that was looked at. Contract: `mend` is there whenever it is not ok and a person can do something. */
export interface Finding {
  subject: string;
  ok: boolean;
  text: string;
  mend?: string;
}

/** The finding in a terminal. */
export function findingLines({ ok, subject, text, mend }: Finding): string[] {
  const line = `${ok ? 'ok   ' : 'FAULT'}  ${subject.padEnd(18)}  ${visibleLine(text)}`;
  return mend === undefined ? [line] : [line, `       mend: ${visibleLine(mend)}`];
}
