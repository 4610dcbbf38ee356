import mqtt, { type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import type { Bus } from '#bus/bus.ts';
import type { BusLog } from '#bus/log.ts';
import type { AgentName } from '#bus/message.ts';
import type { Freeze } from '#bus/messages/freeze.ts';
import type { Proposal } from '#bus/messages/proposal.ts';
import { credentials, startTestBroker, type TestBroker } from './broker.ts';
import { hasMosquitto, startMosquitto } from './mosquitto.ts';

export const patience = 15_000;

/** What a listener got, and a way to wait for more. */
export class Collected<T> {
  readonly items: T[] = [];
  #waiters: (() => void)[] = [];

  readonly add = (item: T): void => {
    this.items.push(item);
    for (const wake of this.#waiters.splice(0)) wake();
  };

  async until(enough: (items: T[]) => boolean): Promise<T[]> {
    const deadline = AbortSignal.timeout(patience);
    while (!enough(this.items)) {
      await new Promise<void>((resolve, reject) => {
        deadline.addEventListener('abort', () => reject(new Error(`Only got ${JSON.stringify(this.items)}`)));
        this.#waiters.push(resolve);
      });
    }
    return this.items;
  }

  count(wanted: number): Promise<T[]> {
    return this.until((items) => items.length >= wanted);
  }
}

export function collectingLog(): { log: BusLog; lines: Collected<string> } {
  const lines = new Collected<string>();
  const write = (fields: object, message: string): void => lines.add(`${message} ${JSON.stringify(fields)}`);
  return { lines, log: { debug: write, info: write, warn: write, error: write } };
}

export const at = '2026-11-20T03:00:00.000Z';
export const frozen = (reason: string): Freeze => ({ frozen: true, by: 'test', reason, at });

export function proposalWith(id: string): Proposal {
  return { id, playbook: 'restart', parameters: {}, hosts: ['web'], findings: [], by: 'test', at };
}

export async function ready(...buses: Bus[]): Promise<void> {
  await Promise.all(buses.map((bus) => bus.ready(AbortSignal.timeout(patience))));
}

export async function flush(bus: Bus): Promise<void> {
  await bus.flush(AbortSignal.timeout(patience));
}

/** A client without any of our rules. */
export async function raw(broker: TestBroker, agent: AgentName, protocolVersion: 4 | 5 = 4): Promise<MqttClient> {
  return mqtt.connectAsync(broker.url, {
    username: agent,
    password: credentials[agent],
    clientId: `lares-home-${agent}-raw`,
    protocolVersion,
    reconnectPeriod: 0,
  });
}

export async function lost(bus: Bus): Promise<void> {
  await expect.poll(() => bus.connected, { timeout: patience, interval: 5 }).toBe(false);
}

/** The broker of the running test, and what is different about it. */
interface BrokerUnderTest {
  name: 'the embedded broker' | 'Mosquitto';
  protocol: 4 | 5;
  broker: () => TestBroker;
}

const brokers = [
  { name: 'the embedded broker', start: () => startTestBroker(), present: true, protocol: 4 },
  { name: 'Mosquitto', start: startMosquitto, present: hasMosquitto, protocol: 5 },
] as const;

/** The same facts over the embedded broker and over Mosquitto, of Debian's package `mosquitto`. A fresh one each test. */
export function describeOverBrokers(facts: (under: BrokerUnderTest) => void): void {
  const required = process.env['LARES_REQUIRE_PARTS'] === '1';
  for (const { name, start, present, protocol } of brokers) {
    const reason = present ? '' : ' (SKIPPED: the package "mosquitto" is not installed)';
    describe.skipIf(!present && !required)(`over ${name}${reason}`, { timeout: patience * 2 }, () => {
      let running: TestBroker | undefined;
      beforeEach(async () => {
        running = await start();
      });
      afterEach(() => running?.[Symbol.asyncDispose]());
      facts({
        name,
        protocol,
        broker: () => {
          if (running === undefined) throw new Error('The broker runs only inside a test');
          return running;
        },
      });
    });
  }
}
