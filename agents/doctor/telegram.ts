import { z } from 'zod';
import { Failure, messageOf } from '#bus/failure.ts';
import { openPeople } from '#config/people.ts';
import type { SecretRef } from '#config/schema.ts';
import { resolveSecret } from '#config/secrets.ts';
import type { CommandContext } from '../commands/command.ts';
import { stateFolders } from '../state-folder.ts';
import type { Finding } from './finding.ts';

const lookMs = 10_000;
const Me = z.object({
  ok: z.boolean(),
  description: z.string().optional(),
  result: z.object({ username: z.string() }).optional(),
});

export async function* examineTelegram(context: CommandContext): AsyncGenerator<Finding> {
  const { config, baseFolder } = context.loaded;
  if (config.telegram === undefined) {
    yield { subject: 'telegram', ok: true, text: 'not configured' };
    return;
  }
  yield await examineBot(config.telegram.apiRoot, config.telegram.token, baseFolder);
  const approvers = openPeople(config, stateFolders(context.loaded).root).withRole('approver');
  const paired = approvers.filter((id) => id.startsWith('telegram:'));
  if (paired.length > 0) yield { subject: 'people', ok: true, text: `${paired.length} may approve on Telegram` };
  else
    yield {
      subject: 'people',
      ok: false,
      text: 'nobody may approve on Telegram',
      mend: 'lares pair, while Lares runs',
    };
}

async function examineBot(apiRoot: string, token: SecretRef, baseFolder: string): Promise<Finding> {
  const subject = 'telegram';
  const mend = 'ask @BotFather for a token and put it where telegram.token points';
  try {
    const response = await fetch(`${apiRoot}/bot${resolveSecret(token, baseFolder)}/getMe`, {
      signal: AbortSignal.timeout(lookMs),
    });
    const me = Me.parse(await response.json());
    if (me.result !== undefined) return { subject, ok: true, text: `the bot is @${me.result.username}` };
    return { subject, ok: false, text: `the token is refused: ${me.description ?? response.status}`, mend };
  } catch (error) {
    if (error instanceof Failure) return { subject, ok: false, text: error.message, mend: handOver(token) ?? mend };
    // The address holds the token, and fetch names the address: only the cause may be shown.
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : 'no answer';
    return { subject, ok: false, text: `${apiRoot} does not answer: ${cause}`, mend: `curl -sS ${apiRoot}` };
  }
}

/** Only the unit has its credentials. */
function handOver({ credential }: SecretRef): string | undefined {
  if (credential === undefined) return undefined;
  return `systemd-run --pipe --wait -p User=lares -p LoadCredential=${credential}:/path lares doctor, as root`;
}
