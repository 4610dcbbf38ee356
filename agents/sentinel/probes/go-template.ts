import { type GoMap, goText, type GoValue, TemplateFault } from './go-format.ts';
import { goFunctions, isTrue, rangeOf } from './go-functions.ts';
import { type Node, type Operand, parseTemplate, type Pipeline } from './go-syntax-tree.ts';

/** What an annotation or label of an alert rule may speak of. */
export interface TemplateData {
  labels: Readonly<Record<string, string>>;
  value: number;
  externalLabels?: Readonly<Record<string, string>>;
  externalUrl?: string;
}

const maximumTemplate = 8_000;
const maximumOutput = 8_000;
/** Far more than any annotation takes; a nested range over labels could take for ever. */
const maximumSteps = 5_000;

/**
 * Expands a template of a Prometheus rule: `{{ $labels.instance }} is at {{ $value | humanize }}`. Contract: never
 * throws, runs nothing but the functions it knows, and ends soon. What it does not know (`query`, `define`) leaves the
 * whole text as it is.
 */
export function expandTemplate(text: string, data: TemplateData): string {
  if (!text.includes('{{')) return text.slice(0, maximumOutput);
  try {
    if (text.length > maximumTemplate) throw new TemplateFault('is too long');
    return new TemplateRun(data).run(parseTemplate(text));
  } catch (error) {
    if (error instanceof TemplateFault) return text.slice(0, maximumOutput);
    throw error;
  }
}

type Scope = ReadonlyMap<string, GoValue>;

class TemplateRun {
  readonly #root: GoMap;
  readonly #variables: Map<string, GoValue>;
  #output = '';
  #steps = 0;

  constructor({ labels, value, externalLabels = {}, externalUrl = '' }: TemplateData) {
    const own = new Map(Object.entries(labels));
    const external = new Map(Object.entries(externalLabels));
    this.#root = new Map<string, GoValue>([
      ['Labels', own],
      ['Value', value],
      ['ExternalLabels', external],
      ['ExternalURL', externalUrl],
    ]);
    this.#variables = new Map<string, GoValue>([
      ['$', this.#root],
      ['$labels', own],
      ['$value', value],
      ['$externalLabels', external],
      ['$externalURL', externalUrl],
    ]);
  }

  run(nodes: readonly Node[]): string {
    this.#all(nodes, this.#root, new Map(this.#variables));
    return this.#output;
  }

  #all(nodes: readonly Node[], dot: GoValue, outer: Scope): void {
    const scope = new Map(outer);
    for (const node of nodes) {
      this.#step();
      if (node.is === 'text') this.#print(node.text);
      else if (node.is === 'print') this.#evaluate(node.pipeline, dot, scope);
      else this.#control(node, dot, scope);
    }
  }

  #evaluate(pipeline: Pipeline, dot: GoValue, scope: Map<string, GoValue>): void {
    const value = this.#value(pipeline, dot, scope);
    const [name] = pipeline.declares;
    if (name === undefined) this.#print(goText(value));
    else scope.set(name, value);
  }

  #control(node: Extract<Node, { is: 'if' | 'with' | 'range' }>, dot: GoValue, scope: Scope): void {
    const value = this.#value(node.pipeline, dot, scope);
    const { declares } = node.pipeline;
    if (node.is === 'range') {
      const pairs = rangeOf(value);
      for (const [key, item] of pairs) {
        const inner = new Map(scope);
        const [first, second] = declares;
        if (first !== undefined) inner.set(first, second === undefined ? item : key);
        if (second !== undefined) inner.set(second, item);
        this.#all(node.body, item, inner);
      }
      if (pairs.length === 0) this.#all(node.otherwise, dot, scope);
      return;
    }
    const inner = new Map(scope);
    if (declares[0] !== undefined) inner.set(declares[0], value);
    if (isTrue(value)) this.#all(node.body, node.is === 'with' ? value : dot, inner);
    else this.#all(node.otherwise, dot, inner);
  }

  #value(pipeline: Pipeline, dot: GoValue, scope: Scope): GoValue {
    let result: GoValue;
    for (const [index, command] of pipeline.commands.entries()) {
      this.#step();
      const [first, ...operands] = command;
      const given = operands.map((operand) => this.#operand(operand, dot, scope));
      if (index > 0) given.push(result);
      if (first === undefined) throw new TemplateFault('an action is empty');
      if (first.is === 'function') result = call(first.name, given);
      else if (given.length > 0) throw new TemplateFault('gives arguments to what is no function');
      else result = this.#operand(first, dot, scope);
    }
    return result;
  }

  #operand(operand: Operand, dot: GoValue, scope: Scope): GoValue {
    return operand.path.reduce<GoValue>(field, this.#base(operand, dot, scope));
  }

  #base(operand: Operand, dot: GoValue, scope: Scope): GoValue {
    switch (operand.is) {
      case 'value':
        return operand.value;
      case 'dot':
        return dot;
      case 'variable':
        if (!scope.has(operand.name)) throw new TemplateFault(`"${operand.name}" is not known`);
        return scope.get(operand.name);
      case 'function':
        return call(operand.name, []);
      case 'pipeline':
        return this.#value(operand.pipeline, dot, scope);
    }
  }

  #step(): void {
    if (++this.#steps > maximumSteps) throw new TemplateFault('takes too many steps');
  }

  #print(text: string): void {
    this.#output += text;
    if (this.#output.length > maximumOutput) throw new TemplateFault('becomes too long');
  }
}

function call(name: string, values: readonly GoValue[]): GoValue {
  const known = goFunctions[name];
  if (known === undefined) throw new TemplateFault(`"${name}" is not known here`);
  // What takes a fixed number of arguments says so by its length; the others look at what they got.
  if (known.length > values.length) throw new TemplateFault(`"${name}" is given too little`);
  const result = known(...values);
  // Texts that are put together again and again double each time.
  if (typeof result === 'string' && result.length > maximumOutput) throw new TemplateFault('becomes too long');
  return result;
}

/** A label that is not there is an empty text, as in Prometheus. */
function field(value: GoValue, name: string): GoValue {
  if (value instanceof Map) return (value as GoMap).get(name) ?? '';
  throw new TemplateFault(`"${name}" is asked of what has no fields`);
}
