import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finding as findingKind } from '#bus/messages/finding.ts';
import { startTelegram, type TelegramPart } from '../parts/telegram.ts';
import { findingOf, startTriage, type TriageStand } from './triage-stand.ts';

const patienceMs = 10_000;

/** Triage without a group wait and a model, whose one channel is a Bot API that is watched. */
export interface TelegramStage extends AsyncDisposable {
  readonly stand: TriageStand;
  /** Publishes a finding that becomes an incident of its own; resolves when its message reaches the Bot API. */
  tell(number: number): Promise<void>;
}

export async function startTelegramStage(folder: string): Promise<TelegramStage> {
  await using starting = new AsyncDisposableStack();
  const telegram = starting.use(await startTelegram());
  const ada = telegram.user(7, 'Ada');
  writeFileSync(join(folder, 'token'), telegram.token, { mode: 0o600 });
  const stand = starting.use(
    await startTriage(folder, {
      people: { approvers: [ada.id] },
      telegram: { token: { file: 'token' }, apiRoot: telegram.apiRoot, chat: ada.id },
      triage: { groupWait: '0s' },
    }),
  );
  const arrival = watchArrivals(telegram);
  const running = starting.move();
  return {
    stand,
    tell(number) {
      const message = findingOf(number, 'unit');
      return arrival(message.resource, () => stand.sentinel.publish(findingKind, message));
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

type Arrival = (text: string, send: () => void) => Promise<void>;

/** Resolves when a message with the text reaches the Bot API. */
function watchArrivals(telegram: TelegramPart): Arrival {
  let wanted: { text: string; found: () => void } | undefined;
  const { calls } = telegram;
  const note = calls.push.bind(calls);
  calls.push = (...added) => {
    for (const { method, fields } of added) {
      if (method !== 'sendMessage' || wanted === undefined) continue;
      if (String(fields['text']).includes(wanted.text)) wanted.found();
    }
    return note(...added);
  };
  return (text, send) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = setTimeout(() => reject(new Error(`"${text}" did not arrive`)), patienceMs);
    wanted = {
      text,
      found: () => {
        clearTimeout(late);
        resolve();
      },
    };
    send();
    return promise;
  };
}
