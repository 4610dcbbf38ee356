import { isIPv4, isIPv6 } from 'node:net';
import { scrub } from '#bus/scrub.ts';

/** Hides what a model need not know, and puts it back into what the model says. */
export interface Veil {
  /** Text for a prompt. The same thing gets the same stand-in all through one veil. */
  hide(text: string): string;
  /** The model's text with the real names in it. */
  reveal(text: string): string;
}

interface VeilOptions {
  /** `local` providers see everything but secrets. */
  sees: 'local' | 'cloud';
  /** Names and addresses of the inventory. */
  hosts: readonly string[];
  /** Login names of the configuration. */
  users: readonly string[];
  /** Makes stand-ins that no text can hold by chance: a few random letters and digits. */
  nonce: string;
}

export function createVeil(options: VeilOptions): Veil {
  return options.sees === 'local' ? { hide: scrub, reveal: (text) => text } : new CloudVeil(options);
}

/** Accounts that every system has: they say nothing about a person. */
const systemUsers = new Set(
  'root nobody daemon bin sys www-data postgres mysql redis nginx systemd-network systemd-resolve messagebus sshd syslog git docker http apache invalid user the a unknown none'.split(
    ' ',
  ),
);

/** Top-level names that occur in machine names and not as endings of files. */
const domainEndings =
  'lan|local|localdomain|home|internal|intranet|arpa|test|example|com|net|org|info|biz|eu|io|dev|app|cloud|xyz|tech|online|site|de|fr|uk|us|nl|be|at|ch|it|es|se|no|fi|dk|ca|au|jp|cn|br|ru|ua|cz|pt';

/** `getty@tty1.service` is a unit, not an address. */
const templateUnit = /\.(?:service|timer|socket|mount|target|path|scope|slice|swap|device)$/;

const email = /(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,6}/g;
const domain = new RegExp(String.raw`(?<![\w.-])(?:[a-zA-Z0-9_-]{1,63}\.){1,8}(?:${domainEndings})\b(?![\w-])`, 'gi');
const urlHost = /(?<=:\/\/)[^\s/:"'<>\]@[]{1,253}/g;
const mac = /(?<![0-9a-fA-F:])(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}(?![0-9a-fA-F:])/g;
const ipv4 = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)/g;
const ipv6 =
  /(?<![0-9a-zA-Z:.])(?=[0-9a-fA-F:]*:[0-9a-fA-F:]*:)[0-9a-fA-F:]{2,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![0-9a-zA-Z:])/g;
const userWords =
  /(?<=\b(?:user|invalid user|for user|USER|LOGNAME|username|account|ruser|login)(?:=|: ?| )["']?)[a-z_][\w.-]{0,31}|(?<=\/home\/)[a-z_][\w.-]{0,31}|(?<=\bpassword for )(?!invalid)[a-z_][\w.-]{0,31}|(?<=\bpublickey for )[a-z_][\w.-]{0,31}/g;

class CloudVeil implements Veil {
  readonly #standIns = new Map<string, string>();
  readonly #originals = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #nonce: string;
  readonly #hosts: RegExp | undefined;
  readonly #users: RegExp | undefined;

  constructor(options: VeilOptions) {
    this.#nonce = options.nonce;
    this.#hosts = anyOf(options.hosts.filter((host) => !isLoopback(host) && host !== 'localhost'));
    this.#users = anyOf(options.users.filter((user) => !systemUsers.has(user)));
  }

  hide(text: string): string {
    let hidden = scrub(text);
    hidden = hidden.replace(email, (found) => (templateUnit.test(found) ? found : this.#standIn('mail', found)));
    if (this.#hosts !== undefined) hidden = hidden.replace(this.#hosts, (found) => this.#standIn('host', found));
    hidden = hidden.replace(urlHost, (found) => this.#hostIn(found));
    hidden = hidden.replace(domain, (found) => this.#standIn('host', found));
    hidden = hidden.replace(mac, (found) => this.#standIn('mac', found));
    hidden = hidden.replace(ipv4, (found) => (isIPv4(found) ? this.#address(found) : found));
    hidden = hidden.replace(ipv6, (found) => (isIPv6(found) ? this.#address(found) : found));
    if (this.#users !== undefined) hidden = hidden.replace(this.#users, (found) => this.#standIn('user', found));
    return hidden.replace(userWords, (found) => (systemUsers.has(found) ? found : this.#standIn('user', found)));
  }

  reveal(text: string): string {
    const pattern = new RegExp(`(?:host|ip|mac|mail|user)-${this.#nonce}-\\d{1,6}x`, 'g');
    return text.replace(pattern, (standIn) => this.#originals.get(standIn) ?? standIn);
  }

  #hostIn(found: string): string {
    if (this.#originals.has(found) || isLoopback(found) || found === 'localhost') return found;
    return isIPv4(found) ? this.#address(found) : this.#standIn('host', found);
  }

  #address(found: string): string {
    // Loopback tells nothing of the network and much of the fault.
    return isLoopback(found) ? found : this.#standIn('ip', found);
  }

  #standIn(kind: string, original: string): string {
    if (original.includes(this.#nonce)) return original;
    const known = this.#standIns.get(original);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    // The letter ends the number: a digit of the text behind it must not become part of it.
    const standIn = `${kind}-${this.#nonce}-${count}x`;
    this.#standIns.set(original, standIn);
    this.#originals.set(standIn, original);
    return standIn;
  }
}

function isLoopback(address: string): boolean {
  return /^127\.|^0\.0\.0\.0$|^::1?$/.test(address);
}

/** Any of these names standing alone; the longest first, so that `web-2` is not `web` and a rest. */
function anyOf(names: readonly string[]): RegExp | undefined {
  const parts = [...new Set(names)]
    .filter((name) => name.length > 1)
    .toSorted((a, b) => b.length - a.length)
    .map((name) => RegExp.escape(name));
  return parts.length === 0 ? undefined : new RegExp(`(?<![\\w-])(?:${parts.join('|')})(?![\\w-])`, 'gi');
}
