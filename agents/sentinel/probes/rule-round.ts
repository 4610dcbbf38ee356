import type { Severity } from '#bus/fields.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import { matchesAny } from './glob.ts';
import type { Metrics, Sample } from './prometheus-api.ts';
import { metricNames, presenceQuery } from './promql.ts';
import { state, unseen } from './reading.ts';
import { remember, rememberedTexts } from './remembered.ts';
import { type AlertRule, distinctRules, readRuleFile, type RuleFileReading, ruleFileVersion } from './rule-file.ts';
import { ruleAlerts, ruleResource } from './rule-result.ts';
import { counted } from './text.ts';

interface RuleRoundOptions {
  files: readonly string[];
  severities: Readonly<Record<string, Severity>>;
  ignore: readonly string[];
  externalLabels: Readonly<Record<string, string>>;
}

type RoundContext = Pick<CheckContext, 'baseFolder' | 'clock' | 'memory' | 'timeoutMs' | 'signal'>;

const atOnce = 4;
/** Of the check's time; what is left is for the last answer. */
const shareOfTime = 0.7;
/** So many healthy rules are told one by one. */
const toldOneByOne = 200;
/** Metrics come with a new exporter or go with an old one: rarely. */
const presenceEveryMs = 10 * 60_000;
/** A group that wants a minute is due after 59 seconds: looks are not exact. */
const dueShare = 0.9;

interface Evaluated {
  at: number;
  /** Undefined: it could not be evaluated. */
  samples?: Sample[];
  reason?: string;
}

interface RuleView {
  isMany: boolean;
  /** Conditions with alerts at the last evaluation. */
  active: ReadonlySet<string>;
  stopped: string | undefined;
}

/** The rules of one check and what their last evaluations gave. Contract: one `look` at a time. */
export class RuleRound {
  readonly #options: RuleRoundOptions;
  readonly #files = new Map<
    string,
    { version: string | undefined; reading: RuleFileReading; last?: RuleFileReading }
  >();
  readonly #results = new Map<string, Evaluated>();
  #missing: { at: number; names: ReadonlySet<string> } | undefined;

  constructor(options: RuleRoundOptions) {
    this.#options = options;
  }

  /** What is evaluated now; a file that cannot be read any more counts as it was. */
  rules(context: Pick<CheckContext, 'baseFolder'>): AlertRule[] {
    this.#read(context);
    const files = [...this.#files.values()].flatMap(({ reading, last }) => {
      const used = reading.ok ? reading : last;
      return used?.ok === true ? [used.file] : [];
    });
    return distinctRules(files).filter(({ alert }) => !matchesAny(alert, this.#options.ignore));
  }

  async look(metrics: Metrics, context: RoundContext): Promise<Observation[]> {
    const rules = this.rules(context);
    const stopped = await this.#evaluate(rules, metrics, context);
    if (stopped === undefined) await this.#lookForMetrics(rules, metrics, context);
    this.#forget(rules);
    const active = new Set(rememberedTexts(context.memory, 'active'));
    const observations = [
      ...this.#fileObservations().filter(({ reading }) => stopped === undefined || reading.is === 'unknown'),
      ...rules.flatMap((rule) =>
        this.#ruleObservations(rule, { isMany: rules.length > toldOneByOne, active, stopped }),
      ),
      ...this.#blindRules(rules),
      ...this.#whole(rules, stopped),
    ];
    this.#rememberActive(rules, context, active);
    return observations;
  }

  #read({ baseFolder }: Pick<CheckContext, 'baseFolder'>): void {
    for (const file of this.#options.files) {
      const version = ruleFileVersion(file, baseFolder);
      const known = this.#files.get(file);
      if (known !== undefined && known.version === version && version !== undefined) continue;
      const reading = readRuleFile(file, baseFolder);
      const last = known?.reading.ok === true ? known.reading : known?.last;
      this.#files.set(file, { version, reading, ...(last !== undefined && { last }) });
    }
  }

  /** Why the round broke off: the server does not answer, or the time is up. */
  async #evaluate(rules: readonly AlertRule[], metrics: Metrics, context: RoundContext): Promise<string | undefined> {
    const startedAt = context.clock.now();
    const due = rules.filter((rule) => this.#isDue(rule, startedAt));
    let stopped: string | undefined;
    const evaluate = async (rule: AlertRule): Promise<void> => {
      if (context.clock.now() - startedAt > context.timeoutMs * shareOfTime) {
        stopped ??= 'the rules take longer than a look may; raise "timeout"';
      }
      const at = context.clock.now();
      if (stopped !== undefined) return void this.#results.set(rule.condition, { at, reason: stopped });
      const asked = await metrics.query(rule.expression);
      if (asked.ok) this.#results.set(rule.condition, { at, samples: asked.value });
      else this.#results.set(rule.condition, { at, reason: asked.reason });
      if (asked.ok && asked.partial !== undefined) stopped ??= asked.partial;
      if (!asked.ok && !asked.wrong) stopped ??= asked.reason;
    };
    // One first: a server that is silent costs one timeout, not one for each rule.
    const [first, ...others] = due;
    if (first !== undefined) await evaluate(first);
    await fewAtOnce(others, atOnce, evaluate);
    return stopped;
  }

  #isDue({ condition, intervalMs = 0 }: AlertRule, now: number): boolean {
    const last = this.#results.get(condition);
    return last?.samples === undefined || now < last.at || now - last.at >= intervalMs * dueShare;
  }

  #forget(rules: readonly AlertRule[]): void {
    const known = new Set(rules.map(({ condition }) => condition));
    for (const condition of this.#results.keys()) if (!known.has(condition)) this.#results.delete(condition);
  }

  /** Which of the metrics that the rules read exist at all. */
  async #lookForMetrics(rules: readonly AlertRule[], metrics: Metrics, { clock }: RoundContext): Promise<void> {
    if (this.#missing !== undefined && clock.now() - this.#missing.at < presenceEveryMs) return;
    const names = [...new Set(rules.flatMap(({ expression }) => metricNames(expression) ?? []))];
    if (names.length === 0) return;
    const asked = await metrics.query(presenceQuery(names));
    if (!asked.ok || asked.partial !== undefined) return;
    const found = new Set(asked.value.map(({ labels }) => labels['__name__']));
    this.#missing = { at: clock.now(), names: new Set(names.filter((name) => !found.has(name))) };
  }

  #fileObservations(): Observation[] {
    return this.#options.files.flatMap((file) => {
      const { reading, last } = this.#files.get(file) ?? {};
      if (reading === undefined) return [];
      const said = { condition: 'rule-file', resource: reading.ok ? reading.file.path : reading.path };
      if (!reading.ok) {
        // Without rules to go on with, nothing tells whether what fires still does.
        const lost = last === undefined ? [unseen({ ...said, resource: 'rules' }, reading.reason)] : [];
        return [unseen(said, reading.reason), ...lost];
      }
      const { rules, recording, faults } = reading.file;
      if (faults.length > 0) return [unseen(said, `${counted(faults.length, 'fault')} in it: ${faults[0] ?? ''}`)];
      const summary = `${counted(rules.length, 'alert rule')} read, ${counted(recording, 'recording rule')} left to Prometheus`;
      return [state({ ...said, summary, ok: true, severity: 'warning' })];
    });
  }

  #ruleObservations(rule: AlertRule, of: RuleView): Observation[] {
    const { samples, reason } = this.#results.get(rule.condition) ?? {};
    const resource = ruleResource(rule);
    if (samples === undefined) {
      // That of all rules together is told once.
      if (reason === of.stopped) return [];
      // Named by the rule's own condition, its alerts stay as they are; a condition that nobody knows would keep those of all rules.
      const condition = of.active.has(rule.condition) ? rule.condition : 'rule-evaluation';
      return [unseen({ condition, resource: `${resource} (${rule.place})` }, reason ?? 'it was not evaluated')];
    }
    const alerts = ruleAlerts(rule, samples, this.#options);
    // What can never fire is not well either.
    if (of.isMany || (samples.length === 0 && this.#missingOf(rule).length > 0)) return alerts;
    if (alerts.some((alert) => alert.resource === resource)) return alerts;
    const summary =
      samples.length === 0 ? `${rule.alert} finds nothing` : `${rule.alert} finds ${counted(samples.length, 'thing')}`;
    return [...alerts, state({ condition: rule.condition, resource, summary, ok: true, severity: 'warning' })];
  }

  #missingOf({ expression }: AlertRule): string[] {
    return (metricNames(expression) ?? []).filter((name) => this.#missing?.names.has(name) === true);
  }

  /** A rule on a metric that no exporter exposes never fires, and says so nowhere else. */
  #blindRules(rules: readonly AlertRule[]): Observation[] {
    if (this.#missing === undefined) return [];
    const blind = rules.filter((rule) => this.#missingOf(rule).length > 0);
    const metrics = [...new Set(blind.flatMap((rule) => this.#missingOf(rule)))];
    const names = blind.map(({ alert }) => alert).join(', ');
    return [
      state({
        condition: 'rules-blind',
        resource: 'metrics',
        summary:
          blind.length === 0
            ? 'every metric that the rules read is there'
            : `${counted(blind.length, 'rule')} can never fire because nothing exports ${metrics.join(', ')}: ${names}`,
        ok: blind.length === 0,
        severity: 'info',
      }),
    ];
  }

  #whole(rules: readonly AlertRule[], stopped: string | undefined): Observation[] {
    const said = { condition: 'rule-evaluation', resource: 'rules' };
    if (stopped !== undefined) return [unseen(said, stopped)];
    if (rules.length === 0) return [unseen(said, 'there is no alert rule in the files')];
    return [state({ ...said, summary: `${counted(rules.length, 'rule')} evaluated`, ok: true, severity: 'warning' })];
  }

  #rememberActive(rules: readonly AlertRule[], context: RoundContext, before: ReadonlySet<string>): void {
    const active = rules.flatMap(({ condition }) => {
      const { samples } = this.#results.get(condition) ?? {};
      const isActive = samples === undefined ? before.has(condition) : samples.length > 0;
      return isActive ? [condition] : [];
    });
    remember(context.memory, 'active', active.slice(0, 300));
  }
}
