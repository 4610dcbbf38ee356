import type { Severity } from '#bus/fields.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import type { Change } from './drift.ts';
import { state } from './reading.ts';
import { oneLine } from './text.ts';

interface Told {
  condition: string;
  resource: string;
  labels: Record<string, string>;
  summary: string;
  severity: Severity;
}

/** What changed of accounts, told by its sort: the word before the first colon of its name. */
export function observeChange(change: Change): Observation {
  const at = change.name.indexOf(':');
  const name = change.name.slice(at + 1);
  const told = toldOf(change.name.slice(0, at), name, change);
  return state({ ...told, holdMs: 0, ok: false });
}

function toldOf(sort: string, name: string, change: Change): Told {
  switch (sort) {
    case 'user':
      return userChange(name, change);
    case 'member':
      return memberChange(name, change);
    case 'key':
      return keyChange(name, change);
    default:
      return sudoersChange(name, change);
  }
}

function userChange(name: string, { was, is }: Change): Told {
  const isService = /\/(?:nologin|false)$/.test(is ?? was ?? '');
  const summary =
    was === undefined
      ? `account ${name} is new (uid and shell ${is})`
      : is === undefined
        ? `account ${name} is gone`
        : `account ${name} changed from ${was} to ${is}`;
  const labels = { user: oneLine(name, 60) };
  return { condition: 'account-changed', resource: name, labels, summary, severity: isService ? 'info' : 'warning' };
}

function memberChange(name: string, { is }: Change): Told {
  const [group = '', user = ''] = name.split('/', 2);
  return {
    condition: 'group-changed',
    resource: name,
    labels: { user: oneLine(user, 60), group: oneLine(group, 60) },
    summary: is === undefined ? `${user} is no longer in group ${group}` : `${user} is newly in group ${group}`,
    severity: is === undefined ? 'info' : 'warning',
  };
}

function keyChange(name: string, { was, is }: Change): Told {
  const cut = name.lastIndexOf(' ');
  const path = name.slice(0, cut);
  const fingerprint = name.slice(cut + 1);
  return {
    condition: 'authorized-key-changed',
    resource: name,
    labels: { path: oneLine(path, 200) },
    summary:
      is === undefined
        ? `key ${fingerprint} (${was}) may no longer log in by ${path}`
        : `key ${fingerprint} (${is}) may log in by ${path}`,
    severity: is === undefined ? 'info' : 'warning',
  };
}

function sudoersChange(path: string, { was, is }: Change): Told {
  const [mode = '', owner = ''] = (is ?? '').split(' ');
  const isOpen = /[2367].?$/.test(mode) || (owner !== '' && owner !== 'root');
  const what = was === undefined ? 'is new' : is === undefined ? 'is gone' : 'changed';
  return {
    condition: 'sudoers-changed',
    resource: path,
    labels: { path: oneLine(path, 200) },
    summary: `${path} ${what}${is === undefined ? '' : ` (mode ${mode}, owner ${owner})`}`,
    severity: isOpen ? 'critical' : 'warning',
  };
}
