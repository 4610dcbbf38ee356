import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ChatMessage } from '../parts/telegram.ts';
import { until } from '../parts/until.ts';
import { addUnit, hasButton, type Play, removeUnit, wholeJournals } from './play.ts';
import { story } from './stage.ts';

const kills = 50;
/** A loop without a kill takes about twice as long, so that most loops are hit more than once. */
const longestLifeMs = 3_500;
/** Broken one after the other, each as long as it takes. */
const units = Array.from({ length: 40 }, (_, number) => `random-${number}.service`);
/** Without a kill for so long everything must have come to an end. */
const silenceMs = 120_000;
const seed = Number(process.env['LARES_SEED'] ?? 20_261_120);

/** mulberry32: the same seed gives the same delays. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Anna, who presses every button to approve that she sees, and again when nothing came of it. */
class Presser {
  readonly #pressed = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(play: Play, unit: string) {
    this.#timer = setInterval(() => {
      for (const card of play.cards(unit)) this.#look(play, card);
    }, 100);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(play: Play, card: ChatMessage): void {
    const button = card.buttons.flat().find(({ text }) => text === 'Approve' || text === 'Ask again');
    if (button === undefined || Date.now() - (this.#pressed.get(button.data) ?? 0) < 3_000) return;
    this.#pressed.set(button.data, Date.now());
    play.anna.press(card.id, button.data);
  }
}

/** Whether the loop of a unit came to its end: fixed, over by itself, or a person is asked in words what to do. */
function isOver(play: Play, unit: string): boolean {
  const card = play.cards(unit).at(-1);
  if (card === undefined || runsOf(play).some((run) => run.unit === unit && isUnderWay(run))) return false;
  return /\n(fixed|resolved) · /.test(card.text) || isLeftToPeople(card);
}

/** What was killed between a command and its proof is not repeated: a person has to look. */
function isLeftToPeople(card: ChatMessage): boolean {
  const isOffered = ['Ask again', 'Approve'].some((label) => hasButton(card, label));
  return /Nobody could see whether it is fixed/.test(card.text) && !isOffered;
}

function isUnderWay({ status, verdict }: RunRow): boolean {
  return status !== 'refused' && verdict === null;
}

interface RunRow {
  plan: string;
  unit: string;
  status: string;
  verdict: string | null;
  /** Commands that left, each counted as often as it did. */
  intents: number;
  /** How many of them are different. */
  commands: number;
}

/** Approvals that nothing has come of. */
function unanswered(play: Play): Record<string, unknown> {
  const open = { triage: `state = 'waiting'`, remediation: 'outcome IS NULL' };
  return Object.fromEntries(
    Object.entries(open).map(([agent, condition]) => {
      const rows = new DatabaseSync(join(play.lares.folder, `state/${agent}/${agent}.db`), { readOnly: true });
      const count = rows.prepare(`SELECT count(*) AS n FROM approvals WHERE ${condition}`).get()?.['n'];
      rows.close();
      return [agent, count];
    }),
  );
}

/** What the worker's own record says: one row per run with the commands that left. */
function runsOf(play: Play): RunRow[] {
  const rows = new DatabaseSync(join(play.lares.folder, 'state/remediation/remediation.db'), { readOnly: true });
  const sql = `
    SELECT runs.plan AS plan, json_extract(plans.body, '$.body.parameters.unit') AS unit, runs.status, runs.verdict,
      (SELECT count(*) FROM journal WHERE kind = 'intent' AND subject = runs.id) AS intents,
      (SELECT count(DISTINCT json_extract(body, '$.command')) FROM journal WHERE kind = 'intent' AND subject = runs.id)
        AS commands
    FROM runs JOIN plans ON plans.id = runs.plan`;
  const found = rows.prepare(sql).all() as unknown as RunRow[];
  rows.close();
  return found;
}

/** Breaks a unit and kills Lares at random moments until the loop has come to its end. Returns how often. */
async function killThrough(
  play: Play,
  { unit, random, limit }: { unit: string; random: () => number; limit: number },
): Promise<number> {
  const anna = new Presser(play, unit);
  let killed = 0;
  try {
    await play.breakUnit(unit);
    while (!isOver(play, unit)) {
      const isLast = killed >= limit;
      const lifeMs = isLast ? silenceMs : random() * longestLifeMs;
      const hasEnded = await Promise.race([sleep(lifeMs, false), ended(play, unit)]);
      if (hasEnded) break;
      if (isLast) throw new Error(`Silent about ${unit} for ${silenceMs} ms:\n${play.chat()}`);
      await play.crash();
      killed += 1;
      await play.lares.start();
    }
    return killed;
  } finally {
    anna.stop();
  }
}

async function ended(play: Play, unit: string): Promise<true> {
  await until(() => isOver(play, unit), `the end of ${unit}`, silenceMs * 2);
  return true;
}

story('kill -9 at any moment of the loop', (stage) => {
  test(`${kills} times (LARES_SEED=${seed}): nothing runs twice, nothing is lost, nobody is left without a word`, async () => {
    const random = randomFrom(seed);
    await using play = await stage.play({ check: { units } });
    for (const unit of units) await addUnit(play.host, unit, 'exec sleep infinity');
    await play.start();
    let killed = 0;
    for (const unit of units) {
      if (killed < kills) killed += await killThrough(play, { unit, random, limit: kills - killed });
    }
    expect(killed).toBe(kills);
    const runs = runsOf(play);
    for (const unit of units) {
      const mine = runs.filter((run) => run.unit === unit);
      const intents = mine.reduce((sum, run) => sum + run.intents, 0);
      expect(mine.filter((run) => run.intents !== run.commands)).toEqual([]);
      expect(await play.starts(unit)).toBeLessThanOrEqual(1 + intents);
    }
    // Each decision was heard, and had its effect or its refusal.
    expect(unanswered(play)).toEqual({ triage: 0, remediation: 0 });
    expect(new Set(runs.map(({ plan }) => plan)).size).toBe(runs.length);
    const open = (await play.openIncidents()) as { title: string }[];
    const cards = units
      .filter((unit) => open.some(({ title }) => title.includes(unit)))
      .map((unit) => play.cards(unit));
    expect(cards.filter((some) => !some.some(isLeftToPeople))).toEqual([]);
    expect(cards).toHaveLength(open.length);
    expect(await play.audit()).toEqual(wholeJournals);
    for (const unit of units) await removeUnit(play.host, unit);
  }, 900_000);
});
