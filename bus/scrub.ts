import { withoutPrivateKeys } from './private-keys.ts';

/** What stands where a secret stood. */
const mask = '[redacted]';

/** Shorter values are not registered: they would tear words out of every text. */
const minimumSecretLength = 4;

/** Every spelling under which a registered secret may turn up, longest first. */
let registered: readonly string[] = [];

/**
 * Makes `scrub` remove this exact value from now on, also where it stands JSON-escaped, percent-encoded or in base64.
 * Whoever reads a secret registers it before using it.
 */
export function registerSecret(value: string): void {
  if (value.length < minimumSecretLength || mask.includes(value)) return;
  const escaped = JSON.stringify(value).slice(1, -1);
  const spellings = [
    value,
    escaped,
    JSON.stringify(escaped).slice(1, -1),
    encodeURIComponent(value.toWellFormed()),
    Buffer.from(value).toString('base64'),
    Buffer.from(value).toString('base64url'),
  ];
  registered = [...new Set([...registered, ...spellings])].toSorted((a, b) => b.length - a.length);
}

/**
 * Text without secrets: those that were registered, and what looks like one (bot tokens, API keys, authorization
 * headers, private keys, passwords in URLs and assignments). Contract: linear in the length of the text, so that a
 * hostile megabyte costs milliseconds; a JSON line stays a JSON line.
 */
export function scrub(line: string): string {
  let text = line;
  for (const secret of registered) text = text.replaceAll(secret, mask);
  text = withoutPrivateKeys(text, mask);
  for (const [pattern, replacement] of patterns) text = text.replace(pattern, replacement);
  return withoutAssignedSecrets(text);
}

/*
 * Each pattern starts only where a run of its own characters starts (a look-behind or a fixed word that cannot occur
 * inside the run), and every other repetition is bounded: that keeps them linear.
 */
const patterns: readonly (readonly [RegExp, string])[] = [
  // Telegram bot tokens, also as `/bot<token>/` in the Bot API's URLs.
  [/\d{6,12}:[A-Za-z0-9_-]{30,}/g, mask],
  // Anthropic, OpenAI and their imitators: `sk-...`.
  [/(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}/g, mask],
  // GitHub, GitLab, Slack, Google, npm, Hugging Face, Stripe, DigitalOcean.
  [
    /(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AIza|npm_|hf_|[rs]k_live_|dop_v1_)[\w-]{16,}/g,
    mask,
  ],
  // Grafana, Tailscale, Headscale, Docker Hub, Vault, age, Slack apps, SendGrid, ntfy.
  [
    /(?<![A-Za-z0-9])(?:gl(?:sa|c)_|[th]skey-[a-z]{2,12}-|dckr_[op]at_|hv[sbr]\.|AGE-SECRET-KEY-1|xapp-|SG\.[\w-]{16,64}\.)[\w-]{16,}/g,
    mask,
  ],
  [/(?<![A-Za-z0-9])tk_[a-z0-9]{29}(?![A-Za-z0-9])/g, mask],
  // Addresses that are secrets themselves: whoever has one may post.
  [
    /((?:hooks\.slack\.com\/(?:services|workflows|triggers)|discord(?:app)?\.com\/api\/webhooks\/\d{5,25}|hc-ping\.com)\/)[\w/-]{8,}/gi,
    `$1${mask}`,
  ],
  // Signed addresses of S3, Azure and Google, and ntfy's `auth`.
  [
    /([?&](?:sig|signature|auth|x-(?:amz|goog)-(?:signature|credential|security-token))=)[^\s&"'<>\\]{8,}/gi,
    `$1${mask}`,
  ],
  // A PEM file in base64, as Kubernetes and cloud-init keep them; certificates are no secret.
  [/(?<![A-Za-z0-9+/])LS0tLS1CRUdJTi(?!BDRVJU)[A-Za-z0-9+/=]{16,}/g, mask],
  // Passwords in the arguments of commands.
  [/(\s(?:-u|--user|--proxy-user)[\s=]\s{0,3}["']?[^\s:"'\\]{1,64}:)(?!\d{1,6}(?![^\s"'\\]))[^\s"'\\]+/g, `$1${mask}`],
  [/(\b(?:sshpass\s{1,4}-p|redis-cli\s[^\n]{0,200}?-a)\s{0,4})[^\s"'\\]{4,}/g, `$1${mask}`],
  [/(\b(?:mysql|mariadb)(?:-?dump|-?admin)?\s(?:[^\n|;&]{0,200}?\s)?-p)[^\s"'\\]{4,}/g, `$1${mask}`],
  // Settings whose value follows a space: Redis, net-snmp, WireGuard, netrc.
  [
    /(\b(?:requirepass|masterauth|r[ow]community6?|preshared-key|login\s{1,4}[^\s"'\\]{1,64}\s{1,4}password)\s{1,4})[^\s"'\\]{4,}/gi,
    `$1${mask}`,
  ],
  // AWS key ids; the secret keys beside them stand in assignments.
  [/(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}/g, mask],
  // JSON Web Tokens.
  [/(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g, mask],
  // Proxmox VE: `PVEAPIToken=user@realm!name=uuid`; Proxmox Backup Server writes a colon before the uuid.
  [/(?<![\w.-])([\w.-]{1,64}@[\w-]{1,32}![\w.-]{1,64}[=:])[0-9a-f]{8}-[0-9a-f-]{27}/gi, `$1${mask}`],
  [/(P[VB][ES]APIToken[= ][^\s"'=:!]{1,100}![^\s"'=:]{1,100}[=:])[^\s"'\\]+/g, `$1${mask}`],
  [
    /(authorization(?:\\{0,3}["']\s{0,4}:\s{0,4}\\{0,3}["']|\s{0,4}[:=]\s{0,4}\\{0,3}["']?)(?:[a-z-]{1,20}\s{1,4})?)[^\s"'\\,[]+/gi,
    `$1${mask}`,
  ],
  [/(\bbearer\s{1,4})[A-Za-z0-9+/=._~-]{8,}/gi, `$1${mask}`],
  [/(\bbasic\s{1,4})(?=[A-Za-z+/]{0,200}[0-9=])[A-Za-z0-9+/=]{8,}/gi, `$1${mask}`],
  [
    /(cookie(?:\\{0,3}["']\s{0,4}:\s{0,4}\\{0,3}["']|\s{0,4}:\s{0,4}\\{0,3}["']?))[^\s"'\\[][^\r\n"'\\]*/gi,
    `$1${mask}`,
  ],
  // `scheme://user:password@host`, and a long user alone, which is a token.
  [/([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/"'<>@:]*:[^\s/"'<>]*@/gi, `$1${mask}@`],
  [/([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/"'<>@:[]{20,}@/gi, `$1${mask}@`],
];

/**
 * A name that says "secret" and a sign that a value follows; the name may have a prefix (`DB_PASSWORD`). Of keys only
 * some are secret, but an environment variable that ends in one nearly always is.
 */
const assignment =
  /(?:pass(?:word|wd|phrase|code)|(?<=[_-])pass|(?<![a-z])pass(?==)|pwd|psk|secret(?:[_-]?key[_-]?base)?|token|(?:api|access|private|signing|auth|encryption|account|pre-?shared)[_-]?key|(?-i:(?<=[A-Z0-9]_)(?<!PUBLIC_)KEY)|masterauth|credentials?)(\\{0,3}["'])?(?:\s{0,8}[:=]\s{0,8}|(?<=--[a-z-]{0,20}[a-z])\s{1,4})/gi;

/** Values that tell nothing. */
const harmless = /^(?:null|true|false|undefined|none|\[redacted\])(?![\w-])/i;

function withoutAssignedSecrets(text: string): string {
  let result = '';
  let from = 0;
  assignment.lastIndex = 0;
  for (let match = assignment.exec(text); match !== null; match = assignment.exec(text)) {
    const start = assignment.lastIndex;
    const value = valueAt(text, start, match[1] !== undefined);
    if (value.end === value.start) continue;
    // A bare JSON value becomes a JSON string, so that the line can still be parsed.
    const quote = value.isQuoted ? '' : (match[1] ?? '');
    result += text.slice(from, value.start) + quote + mask + quote;
    from = value.end;
    assignment.lastIndex = Math.max(value.end, start);
  }
  return result + text.slice(from);
}

interface Span {
  start: number;
  end: number;
  isQuoted: boolean;
}

function valueAt(text: string, start: number, isJson: boolean): Span {
  const opener = /^(\\{0,7})(["'])/.exec(text.slice(start, start + 8));
  if (opener !== null) {
    const [whole, slashes = '', quote = '"'] = opener;
    const inside = start + whole.length;
    return { start: inside, end: endOfQuoted(text, inside, { quote, slashes: slashes.length }), isQuoted: true };
  }
  const rest = text.slice(start, start + 16);
  if (harmless.test(rest) || /^[{[]/.test(rest)) return { start, end: start, isQuoted: false };
  return { start, end: endOfBare(text, start, isJson), isQuoted: false };
}

/**
 * The closing quote is escaped as deeply as the opening one or less; the line's end closes it too. In JSON that was
 * escaped `n` times a quote has 2^n - 1 backslashes before it and each backslash of the value itself is 2^(n+1).
 */
function endOfQuoted(text: string, from: number, opener: { quote: string; slashes: number }): number {
  const oneBackslash = 2 * (opener.slashes + 1);
  let slashes = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\\') {
      slashes += 1;
      continue;
    }
    const own = slashes % oneBackslash;
    if (character === opener.quote && own <= opener.slashes) return at - own;
    if (character === '\n') return at;
    slashes = 0;
  }
  return text.length;
}

/** In JSON a bare value is a number; elsewhere it may hold commas and brackets. */
function endOfBare(text: string, start: number, isJson: boolean): number {
  const pattern = isJson ? /[\s"'\\,}\]]|$/g : /[\s"'\\]|$/g;
  pattern.lastIndex = start;
  const end = pattern.exec(text)?.index ?? text.length;
  // A closing bracket belongs to the surrounding structure when the value stands in one: `{token:abc}`.
  return text[end - 1] === '}' || text[end - 1] === ']' ? Math.max(start, end - 1) : end;
}
