import { Failure } from '#bus/failure.ts';
import { loadSecret, loadSigner } from '#bus/keys.ts';
import type { Agent, AgentContext } from '#agents/runtime/agent.ts';
import { hasElapsed } from '#agents/runtime/clock.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import { createAgentWatch } from './agent-watch.ts';
import type { Assessor } from './assess/assess.ts';
import { Assessing } from './assess/assessing.ts';
import type { Channel } from './channel.ts';
import { Asking } from './asking.ts';
import { channelHost } from './people/channel-host.ts';
import { pullBack } from './clock-set-back.ts';
import { Desk } from './desk.ts';
import { createNightly } from './digest/nightly.ts';
import { createInbox } from './intake/inbox.ts';
import { localTime } from './local-time.ts';
import { type Outbox, createOutbox } from './notify/outbox.ts';
import { createPairing } from './people/pairing.ts';
import { createPublishing } from './publishing.ts';
import { resend } from './plans/resend.ts';
import { settle } from './settle.ts';
import { type TriageStore, openTriageStore } from './store.ts';
import { forgetOld } from './store/retention.ts';
import { listen } from './intake/listen.ts';
import { createMissing } from './intake/missing.ts';
import { createWorkerWatch } from './plans/worker.ts';
import { serveVerbs } from './verbs.ts';

interface TriageOptions {
  channels: readonly Channel[];
  assessor: Assessor;
  catalogue: Catalogue;
  /** The link that a person opens to pair, when the channel has a name to link to. */
  pairLink?: (nonce: string) => string | undefined;
}

/** Deadlines are looked at so often: group wait, reminders, snoozes, the digest. */
const tickMs = 1_000;
/** What is over for long is looked for so often, to be forgotten. */
const forgetMs = 10 * 60_000;

/** Folds findings into incidents, tells people, collects their decisions. Decides nothing about hosts by itself. */
export function createTriage(context: AgentContext, options: TriageOptions): Agent {
  const parts = assemble(context, options);
  const { desk, inbox, outbox, assessing, publishing } = parts;
  const rounds = createRounds(context, parts);
  let endMeasuring: () => void = () => undefined;
  const connected = (): void => {
    if (!rounds.isRunning) return;
    publishing.all();
    desk.store.plans.hurry(desk.now);
    resend(desk, context.bus);
  };
  return {
    name: 'triage',
    async start() {
      rounds.isRunning = true;
      publishing.awake();
      inbox.start();
      // What was stored before a crash is handled before anybody is told anything.
      inbox.drain();
      outbox.start();
      const around = { ...parts, ...context, ...options };
      for (const channel of options.channels) await channel.start(channelHost(channel.kind, around));
      listen({ ...parts, bus: context.bus, isRunning: () => rounds.isRunning });
      serveVerbs({ ...parts, bus: context.bus, pairLink: options.pairLink });
      context.bus.onConnect(connected);
      rounds.tick();
      assessing.want(desk.world.incidents.values());
      endMeasuring = context.metrics.beforePage(() => measure(context, desk));
    },
    async stop() {
      endMeasuring();
      rounds.stop();
      inbox.stop();
      await parts.asking.stop();
      await assessing.stop();
      for (const channel of options.channels.toReversed()) await channel.stop();
      await outbox.stop();
      desk.store.close();
    },
    journalHead: () => desk.store.journal.head(),
    queues: () => ({
      inbox: desk.store.inbox.length(),
      setAside: desk.store.inbox.parked().reduce((sum, { count }) => sum + count, 0),
      outbox: outbox.length(),
      assessments: assessing.length(),
    }),
  };
}

function measure({ metrics }: AgentContext, desk: Desk): void {
  const open = [...desk.world.incidents.values()].filter(({ state }) => state === 'grouping' || state === 'open');
  metrics.gauge('incidents_open', 'Incidents that are not over.', { value: open.length });
}

/** Looks at every deadline once a second. */
function createRounds(context: AgentContext, parts: TriageParts): { isRunning: boolean; tick(): void; stop(): void } {
  const { desk, watch, nightly, missing, publishing, worker } = parts;
  let cancel: () => void = () => undefined;
  let forgotAt = desk.now;
  const forget = (): void => {
    if (!hasElapsed(forgetMs, { since: forgotAt, now: desk.now })) return;
    forgotAt = desk.now;
    forgetOld(desk.store.rows, forgotAt);
  };
  const rounds = {
    isRunning: false,
    tick(): void {
      if (!rounds.isRunning) return;
      cancel = context.clock.after(tickMs, () => rounds.tick());
      try {
        desk.tick();
        if (context.bus.connected) desk.transact(() => watch.look());
        nightly.look();
        resend(desk, context.bus);
        missing.look();
        worker.look();
        publishing.noteConnected();
        forget();
      } catch (error) {
        // A full disk: the next round tries again, and nothing was half done.
        if (!(error instanceof Failure)) throw error;
        context.log.error({ reason: error.message }, 'a round did not happen');
      }
    },
    stop(): void {
      rounds.isRunning = false;
      cancel();
    },
  };
  return rounds;
}

type TriageParts = ReturnType<typeof assemble>;

function assemble(context: AgentContext, { channels, assessor, catalogue }: TriageOptions) {
  const { config, inventory, clock, log, bus } = context;
  const key = loadSecret(context.keysFolder, 'journal');
  const store = openTriageStore(context.stateFolder, key, (text) => log.error(text));
  const signer = loadSigner(context.keysFolder, 'triage');
  const outbox = openOutbox(context, store, channels);
  const desk = new Desk({
    store,
    outbox,
    clock,
    log,
    config,
    inventory,
    settle,
    pullBack,
    changed: (incidents) => {
      publishing.incidents(incidents);
      assessing.want(incidents);
    },
  });
  const nightlyOptions = { spending: () => assessor.spending(), capEuro: assessor.capEuro, agents: () => watch.all() };
  const nightly = createNightly({ desk, ...nightlyOptions, publish: (message) => publishing.digest(message) });
  const publishing = createPublishing(desk, bus, nightly);
  const watch = createAgentWatch(desk, () => publishing.awakeSince());
  const asking = new Asking({ bus, desk, clock, log });
  const assessing = new Assessing({
    desk,
    log,
    assessor,
    catalogue,
    clock,
    publish: (opinion) => publishing.assessment(opinion),
  });
  assessor.onNotice((text) => tellNotice(desk, text));
  return {
    store,
    signer,
    outbox,
    desk,
    nightly,
    publishing,
    watch,
    assessing,
    inbox: createInbox(desk, clock),
    pairing: createPairing(store.rows),
    asking,
    missing: createMissing({ desk, bus, asking }),
    worker: createWorkerWatch({ desk, bus, asking, signer, keysFolder: context.keysFolder }),
  };
}

/** What is said of the models is in the log too: a disk that does not take the message costs no opinion. */
function tellNotice(desk: Desk, text: string): void {
  try {
    desk.transact(() => desk.outbox.notice(`assessor:${desk.now}:${text}`, { type: 'notice', text, silent: true }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    desk.log.error({ reason: error.message }, 'a notice about the models was not kept');
  }
}

function openOutbox(context: AgentContext, store: TriageStore, channels: readonly Channel[]): Outbox {
  const { clock, log, config, metrics } = context;
  const count = (channel: string, result: 'delivered' | 'refused'): void =>
    metrics.count('deliveries_total', 'Messages to people, by channel and how their delivery ended.', {
      labels: { channel, result },
    });
  const outbox = createOutbox({
    rows: store.rows,
    channels,
    clock,
    log,
    onDelivered: ({ channel, key, version, shownPlan }) => {
      count(channel, 'delivered');
      store.journal.append({
        at: clock.now(),
        kind: 'delivery',
        subject: key,
        body: { channel, version, shownPlan: shownPlan ?? null },
      });
    },
    onRefused: ({ channel, key, reason }) => {
      count(channel, 'refused');
      const text = `A message could not be delivered on ${channel}: ${reason}`;
      outbox.notice(`refused:${channel}:${key}`, { type: 'notice', text, silent: false }, { except: channel });
      outbox.wake();
    },
    timeText: (at) => localTime(at, config.digest.timezone).time,
  });
  return outbox;
}
