import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stringify } from 'yaml';
import type { Bus } from '#bus/bus.ts';
import { incident } from '#bus/messages/incident.ts';
import { verdict, type Verdict } from '#bus/messages/verdict.ts';
import { loadConfig } from '#config/load.ts';
import { type Crew, everyone, startCrew, type TerminalIo } from '../crew.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { type DemoHost, startDemoHost } from './demo-host.ts';

/** What a person types to approve the plan of the first incident. */
const approval = 'approve 1';
/** Nobody reads faster; a card counts as shown only once triage has noted its delivery. */
const readingMs = 1_000;

interface DemoOptions {
  terminal: TerminalIo;
  log: Log;
  signal: AbortSignal;
  /** Types the approval for the person, for a first look without hands. */
  approves: boolean;
  say(text: string): void;
}

/**
 * The whole loop on a service of its own: a host on loopback is watched over SSH and HTTP by the same crew as in
 * production, its service is killed, the person approves, the fix is proved. Resolves with the verdict, or undefined when
 * it was ended before. Everything lives in one temporary folder, which is removed.
 */
export async function runDemo(options: DemoOptions): Promise<Verdict | undefined> {
  await using ending = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'lares-demo-'));
  ending.defer(() => rmSync(folder, { recursive: true, force: true }));
  const host = await startDemoHost(join(folder, 'host'));
  ending.defer(() => host.close());
  const file = join(folder, 'lares.yaml');
  writeFileSync(file, stringify(demoConfig(host)));
  options.say(
    `A host on 127.0.0.1:${host.port} (SSH) serves a shop on 127.0.0.1:${host.servicePort}; Lares looks every second.`,
  );
  const terminal = options.approves ? handless(options) : { ...options.terminal, interactive: true };
  const crew = await startCrew({ loaded: await loadConfig(file), members: everyone, log: options.log, terminal });
  ending.defer(() => crew.stop());
  const bus = crew.access.connect('console');
  ending.defer(() => bus.close());
  await bus.ready(options.signal);
  const say = (text: string): void => void crew.terminal?.say(text);
  // `await` keeps everything open until the story is told.
  return await tell({ say, signal: options.signal, host, crew, bus });
}

interface Stage {
  say: (text: string) => void;
  signal: AbortSignal;
  host: DemoHost;
  crew: Crew;
  bus: Bus;
}

async function tell({ say, signal, host, crew, bus }: Stage): Promise<Verdict | undefined> {
  const first = await crew.sentinel?.firstRound();
  if (first !== undefined) say(first.text);
  const outcome = watch(bus, signal);
  say('Now the shop is killed (kill -9).');
  await host.breakService();
  return outcome;
}

/** A terminal whose person types what the screen offers, as soon as it offers it. */
function handless(options: DemoOptions): TerminalIo {
  const input = new PassThrough();
  const output = new PassThrough();
  let hasApproved = false;
  output.on('data', (bytes: Buffer) => {
    options.terminal.output.write(bytes);
    if (hasApproved || !bytes.toString().includes(approval)) return;
    hasApproved = true;
    systemClock.after(readingMs, () => {
      options.say(`(typing "${approval}" for you, as --yes asks)`);
      input.write(`${approval}\n`);
    });
  });
  return { ...options.terminal, input, output, interactive: true };
}

/** Resolves with the verdict once its incident is closed, or with undefined when the person ends the demo. */
function watch(bus: Bus, signal: AbortSignal): Promise<Verdict | undefined> {
  return new Promise((resolve) => {
    let seen: Verdict | undefined;
    bus.subscribe(verdict, (message) => {
      seen = message;
      if (message.outcome !== 'fixed') resolve(message);
    });
    bus.onClear(incident, () => resolve(seen));
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

function demoConfig(host: DemoHost): object {
  const login = { user: host.user, keyFile: host.keyFile };
  return {
    site: 'demo',
    state: 'state',
    defaultChecks: false,
    http: { port: 0 },
    hosts: {
      'demo-host': { address: '127.0.0.1', port: host.port, hostKeys: [host.hostKey], read: login, act: login },
    },
    services: { shop: { on: 'demo-host' } },
    checks: [
      {
        id: 'shop-answers',
        kind: 'http',
        host: 'demo-host',
        service: 'shop',
        url: `http://127.0.0.1:${host.servicePort}/health`,
        every: '1s',
        for: '2s',
        labels: { unit: 'shop.service' },
      },
      { id: 'shop-unit', kind: 'systemd-unit', host: 'demo-host', units: ['shop.service'], every: '1s', for: '2s' },
    ],
    triage: { groupWait: '2s' },
    digest: { enabled: false },
  };
}
