import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Signer } from '#bus/keys.ts';
import type { Asking } from '../asking.ts';
import type { ChannelHost, Person } from '../channel.ts';
import { type CommandOptions, answerCommand } from './commands.ts';
import { askThaw } from '../freeze.ts';
import { dryRun } from '../plans/dry-run.ts';
import type { Pairing } from './pairing.ts';
import { pressButton } from './press.ts';
import { askToResolve } from './resolve.ts';
import { resend } from '../plans/resend.ts';

interface HostOptions extends Omit<CommandOptions, 'thaw' | 'resolve'> {
  bus: Bus;
  asking: Asking;
  signer: Signer;
  pairing: Pairing;
}

/** What one channel may ask of triage. It knows which channel asks: what was shown elsewhere was not shown here. */
export function channelHost(channel: string, options: HostOptions): ChannelHost {
  const { desk } = options;
  const thaw: CommandOptions['thaw'] = (asked) => askThaw(options, asked, channel);
  const resolve: CommandOptions['resolve'] = (asked) => askToResolve(options, asked, channel);
  const answered = (work: () => string): string => {
    const answer = told(work);
    // What was decided is on its way at once; when the disk does not note that, the next round sends it again.
    told(() => {
      resend(desk, options.bus);
      return '';
    });
    return answer;
  };
  return {
    press: async (person, token) =>
      answered(() =>
        pressButton(
          { ...options, dryRun: (plan, to) => dryRun(options, plan, to) },
          { person: bounded(person), channel, token },
        ),
      ),
    command: async (person, name, argument) =>
      answered(() => answerCommand({ ...options, thaw, resolve }, { person: bounded(person), name, argument })),
    pair: async (person, nonce) => answered(() => pair(options, bounded(person), nonce)),
    refused: (person, what) => {
      desk.transact(() => desk.journal('refused', channel, { by: bounded(person).id, action: what.slice(0, 120) }));
    },
  };
}

/** A full disk, or a damaged file of people: whoever asked is told, and nothing was done. */
function told(work: () => string): string {
  try {
    return work();
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

/** Messages and journal have room for so much. A longer id is nobody's: cut, it could be that of somebody else. */
function bounded({ id, name }: Person): Person {
  return { id: id.length <= 120 ? id : 'unknown', name: name.slice(0, 120) };
}

function pair({ desk, pairing }: HostOptions, person: Person, nonce: string): string {
  return desk.transact(() => {
    const claim = pairing.claim(nonce, person, desk.now);
    desk.journal('pairing', claim === undefined ? 'refused' : 'claimed', { by: person.id, role: claim?.role ?? null });
    if (claim === undefined) return 'This link is no longer valid. Ask for a new one with "lares pair".';
    return `Hello ${person.name}. You are being added as ${claim.role} by the command line that made this link. /help says what you can do.`;
  });
}
