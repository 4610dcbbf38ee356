import type { Observation } from '#agents/sentinel/check.ts';
import type { Renewer } from './certificate-script.ts';
import { state, unseen } from './reading.ts';
import type { Section } from './sections.ts';
import { counted, oneLine } from './text.ts';

interface RenewalUnit {
  name: string;
  isLoaded: boolean;
  activeState: string;
  result: string;
}

/** Whether something on the host renews certificates by itself, and whether it failed the last time. */
export function observeRenewal(renewer: Renewer, sections: ReadonlyMap<string, Section>): Observation[] {
  const resource = `${renewer} renewal`;
  const units = renewalUnits(sections.get('units')?.text ?? '').filter(({ isLoaded }) => isLoaded);
  const said = { condition: 'renewal-not-scheduled', resource };
  const schedule = scheduleOf(renewer, units, sections);
  const failing = units
    .filter(({ name }) => name.endsWith('.service'))
    .map(({ name, activeState, result }) =>
      state({
        condition: 'renewal-failing',
        resource: name,
        labels: { unit: name },
        summary: activeState === 'failed' ? `${name} failed (${oneLine(result, 40)})` : `${name} did not fail`,
        ok: activeState !== 'failed',
        severity: 'warning',
      }),
    );
  if (schedule.is === 'unknown') return [unseen(said, schedule.text), ...failing];
  const isScheduled = schedule.is === 'scheduled';
  const summary = isScheduled
    ? `${renewer} renews by ${schedule.by}`
    : `nothing runs ${renewer} by itself: ${schedule.text}`;
  const unit = units.find(({ name }) => name.endsWith('.timer'))?.name;
  const labels = unit === undefined ? {} : { unit };
  return [state({ ...said, summary, labels, ok: isScheduled, severity: 'warning' }), ...failing];
}

type Schedule = { is: 'scheduled'; by: string } | { is: 'missing'; text: string } | { is: 'unknown'; text: string };

function scheduleOf(renewer: Renewer, units: readonly RenewalUnit[], sections: ReadonlyMap<string, Section>): Schedule {
  const timer = units.find(({ name, activeState }) => name.endsWith('.timer') && activeState === 'active');
  if (timer !== undefined) return { is: 'scheduled', by: timer.name };
  const hasSystemd = sections.has('systemd');
  const word = renewer === 'certbot' ? 'certbot' : 'acme.sh';
  const lines = ['cron', 'crontab', 'spool']
    .flatMap((name) => sections.get(name)?.text.split('\n') ?? [])
    // Debian's own entry of certbot does nothing where systemd runs: its timer is meant to.
    .filter((line) => line.includes(word) && !(hasSystemd && line.includes('/run/systemd/system')));
  if (lines.length > 0) return { is: 'scheduled', by: `${counted(lines.length, 'line')} of cron` };
  const stopped = units
    .filter(({ name }) => name.endsWith('.timer'))
    .map(({ name, activeState }) => `${name} is ${activeState}`);
  if (stopped.length > 0) return { is: 'missing', text: stopped.join(', ') };
  if (hasSystemd && !sections.has('units')) return { is: 'unknown', text: 'systemd was not asked' };
  if (sections.has('spool')) return { is: 'missing', text: 'no timer and no cron entry' };
  // acme.sh writes into the crontab of who installed it, root as a rule, which nobody else may read.
  if (renewer === 'acme-sh')
    return { is: 'unknown', text: 'no timer, and the crontabs of others may not be read by this user' };
  return { is: 'missing', text: 'no timer and no cron entry that this user may read' };
}

/** Blocks of `Key=Value`, in whatever order systemd prints them. */
function renewalUnits(text: string): RenewalUnit[] {
  return text.split(/\n\s*\n/).flatMap((block) => {
    const values = new Map(block.split('\n').map((line) => [line.replace(/=.*$/, ''), line.replace(/^[^=]*=/, '')]));
    const name = values.get('Id');
    if (name === undefined || name === '') return [];
    return [
      {
        name: oneLine(name, 100),
        isLoaded: values.get('LoadState') === 'loaded',
        activeState: oneLine(values.get('ActiveState') ?? '', 40),
        result: values.get('Result') ?? '',
      },
    ];
  });
}
