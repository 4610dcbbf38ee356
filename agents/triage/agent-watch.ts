import { AgentHealth } from '#bus/messages/agent-health.ts';
import type { AgentState } from '#bus/messages/agent-state.ts';
import { z } from 'zod';
import type { Desk } from './desk.ts';

/** What is known of another agent. Times are epoch ms. */
export const Watched = z.object({
  agent: z.string(),
  state: z.enum(['online', 'offline']),
  /** When its state last changed, by our clock. */
  stateAt: z.number(),
  healthAt: z.number().optional(),
  health: AgentHealth.optional(),
  /** People were told that it is gone, and when. */
  announcedAt: z.number().optional(),
});
export type Watched = z.output<typeof Watched>;

/** A heartbeat comes every minute; three missing ones are a death, whatever the broker says. */
const silenceMs = 3 * 60_000;
/** A restart is no news. */
const graceMs = 30_000;

type Vitality = 'alive' | 'dead';

/**
 * Whether an agent lives. `awakeSince` is when triage itself began to listen: what it could not hear before is no
 * evidence.
 */
function vitalityOf(watched: Watched, now: number, awakeSince: number): Vitality {
  const since = Math.max(watched.stateAt, awakeSince > now ? 0 : awakeSince);
  if (watched.state === 'offline') return now - since >= graceMs ? 'dead' : 'alive';
  return now - Math.max(since, watched.healthAt ?? 0) >= silenceMs ? 'dead' : 'alive';
}

export interface AgentWatch {
  state(state: AgentState): void;
  health(health: AgentHealth): void;
  /** Says once that an agent is gone, and once that it is back. */
  look(): void;
  all(): Watched[];
}

export function createAgentWatch(desk: Desk, awakeSince: () => number): AgentWatch {
  const agents = loadWatched(desk);
  const keep = (watched: Watched): void => {
    const sql = 'INSERT OR REPLACE INTO agents (agent, body) VALUES (?,?)';
    desk.store.rows.run(sql, watched.agent, JSON.stringify(watched));
    agents.set(watched.agent, watched);
  };
  return {
    state({ agent, state }) {
      const before = agents.get(agent);
      if (isOther(agent) && before?.state !== state) keep({ ...before, agent, state, stateAt: desk.now });
    },
    health(health) {
      const { agent } = health;
      const before = withoutFuture(agents.get(agent) ?? { agent, state: 'online', stateAt: desk.now }, desk.now);
      const healthAt = Math.min(desk.now, Date.parse(health.at));
      if (isOther(agent) && (before.healthAt ?? 0) <= healthAt) keep({ ...before, healthAt, health });
    },
    look() {
      for (const known of agents.values()) {
        const watched = withoutFuture(known, desk.now);
        if (watched !== known) keep(watched);
        const isGone = vitalityOf(watched, desk.now, awakeSince()) === 'dead';
        if (isGone === (watched.announcedAt !== undefined)) continue;
        // Back is what speaks again, not what has not been silent for long enough.
        if (!isGone && !isSpeaking(watched)) continue;
        const { announcedAt: _, ...rest } = watched;
        keep(isGone ? { ...rest, announcedAt: desk.now } : rest);
        announce(desk, watched, isGone);
      }
    },
    all: () => [...agents.values()],
  };
}

/** A clock that was set back leaves times that are still to come: until then nobody would be missed. */
function withoutFuture(watched: Watched, now: number): Watched {
  const { stateAt, healthAt, announcedAt } = watched;
  if (Math.max(stateAt, healthAt ?? 0, announcedAt ?? 0) <= now) return watched;
  return {
    ...watched,
    stateAt: Math.min(stateAt, now),
    ...(healthAt !== undefined && { healthAt: Math.min(healthAt, now) }),
    ...(announcedAt !== undefined && { announcedAt: Math.min(announcedAt, now) }),
  };
}

function loadWatched(desk: Desk): Map<string, Watched> {
  const agents = new Map<string, Watched>();
  for (const row of desk.store.rows.all('SELECT body FROM agents')) {
    const parsed = Watched.safeParse(JSON.parse(String(row['body'])));
    if (parsed.success) agents.set(parsed.data.agent, parsed.data);
  }
  return agents;
}

function announce(desk: Desk, watched: Watched, isGone: boolean): void {
  const text = isGone ? goneText(watched) : `The agent "${watched.agent}" is back.`;
  desk.outbox.notice(`agent:${watched.agent}:${desk.now}`, { type: 'notice', text, silent: !isGone });
  desk.journal('agent', watched.agent, { state: isGone ? 'gone' : 'back' });
}

function isSpeaking(watched: Watched): boolean {
  if (watched.state === 'offline') return false;
  return Math.max(watched.healthAt ?? 0, watched.stateAt) > (watched.announcedAt ?? 0);
}

function isOther(agent: string): boolean {
  return agent === 'sentinel' || agent === 'remediation';
}

function goneText({ agent }: Watched): string {
  return agent === 'sentinel'
    ? 'The agent "sentinel" is offline: nothing is being checked. What it found last is kept as it was.'
    : `The agent "${agent}" is offline: nothing is planned or run. An approval waits for it for 15 minutes.`;
}
