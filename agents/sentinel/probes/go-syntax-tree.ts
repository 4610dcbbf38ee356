import { type GoValue, TemplateFault } from './go-format.ts';
import { goFunctions } from './go-functions.ts';
import { type GoToken, splitTemplate, type TemplatePiece } from './go-syntax.ts';

export type Operand =
  | { is: 'value'; value: GoValue; path: readonly string[] }
  | { is: 'dot'; path: readonly string[] }
  | { is: 'variable'; name: string; path: readonly string[] }
  | { is: 'function'; name: string; path: readonly string[] }
  | { is: 'pipeline'; pipeline: Pipeline; path: readonly string[] };

/** Commands, each with its operands; the result of one is the last argument of the next. */
export interface Pipeline {
  /** `$x :=` or `$i, $x :=`. */
  declares: readonly string[];
  commands: readonly (readonly Operand[])[];
}

export type Node =
  | { is: 'text'; text: string }
  | { is: 'print'; pipeline: Pipeline }
  | { is: 'if' | 'with' | 'range'; pipeline: Pipeline; body: Node[]; otherwise: Node[] };

/** Deeper nesting than any person reads. */
const maximumDepth = 30;

/** The nodes of a template that was split. Throws a TemplateFault when it is none. */
export function parseTemplate(text: string): Node[] {
  return new TemplateParser(splitTemplate(text)).parse();
}

class TemplateParser {
  readonly #pieces: readonly TemplatePiece[];
  #at = 0;

  constructor(pieces: readonly TemplatePiece[]) {
    this.#pieces = pieces;
  }

  parse(): Node[] {
    const { nodes, end } = this.#block(0);
    if (end !== undefined) throw new TemplateFault(`"${end}" without a beginning`);
    return nodes;
  }

  /** Nodes up to `end` or `else`, which is left for whoever began the block. */
  #block(depth: number): { nodes: Node[]; end: 'end' | 'else' | undefined } {
    if (depth > maximumDepth) throw new TemplateFault('is nested too deeply');
    const nodes: Node[] = [];
    for (; this.#at < this.#pieces.length; this.#at++) {
      const piece = this.#pieces[this.#at];
      if (piece === undefined) break;
      if (piece.is === 'text') {
        nodes.push(piece);
        continue;
      }
      const [first] = piece.tokens;
      const word = first?.is === 'word' ? first.value : undefined;
      if (word === 'end' || word === 'else') return { nodes, end: word };
      if (word === 'if' || word === 'with' || word === 'range') {
        nodes.push(this.#control(word, piece.tokens.slice(1), depth));
      } else nodes.push({ is: 'print', pipeline: pipelineOf(piece.tokens) });
    }
    return { nodes, end: undefined };
  }

  #control(is: 'if' | 'with' | 'range', tokens: readonly GoToken[], depth: number): Node {
    const pipeline = pipelineOf(tokens);
    this.#at++;
    const { nodes: body, end } = this.#block(depth + 1);
    if (end === undefined) throw new TemplateFault(`"${is}" has no end`);
    return { is, pipeline, body, otherwise: end === 'else' ? this.#otherwise(depth) : [] };
  }

  /** Behind `else`: a block, or `if` and all that belongs to it, which shares its end. */
  #otherwise(depth: number): Node[] {
    const piece = this.#pieces[this.#at];
    const [, second, ...rest] = piece?.is === 'action' ? piece.tokens : [];
    if (second?.is === 'word' && (second.value === 'if' || second.value === 'with')) {
      if (depth > maximumDepth) throw new TemplateFault('is nested too deeply');
      return [this.#control(second.value, rest, depth + 1)];
    }
    if (second !== undefined) throw new TemplateFault('"else" is followed by something');
    this.#at++;
    const { nodes, end } = this.#block(depth + 1);
    if (end !== 'end') throw new TemplateFault('"else" has no end');
    return nodes;
  }
}

function pipelineOf(tokens: readonly GoToken[]): Pipeline {
  const assignment = tokens.findIndex(({ is, value }) => is === 'sign' && value === ':=');
  const declared = assignment === -1 ? [] : tokens.slice(0, assignment);
  const declares = declared.flatMap((token, index) => {
    const isFit = index % 2 === 0 ? token.is === 'variable' : token.is === 'sign' && token.value === ',';
    if (!isFit) throw new TemplateFault('assigns to what is no variable');
    return token.is === 'variable' ? [token.value] : [];
  });
  const rest = tokens.slice(assignment + 1);
  const commands = commandsOf(rest, 0);
  if (rest.length > 0) throw new TemplateFault('has a parenthesis too many');
  return { declares, commands };
}

/** Takes its tokens from the front, up to a closing parenthesis. */
function commandsOf(tokens: GoToken[], depth: number): Operand[][] {
  if (depth > maximumDepth) throw new TemplateFault('is nested too deeply');
  const commands: Operand[][] = [[]];
  for (let token = tokens[0]; token !== undefined; token = tokens[0]) {
    if (token.is === 'sign' && token.value === ')') break;
    tokens.shift();
    if (token.is === 'sign' && token.value === '|') commands.push([]);
    else commands.at(-1)?.push(operandOf(token, tokens, depth));
  }
  if (commands.some((command) => command.length === 0)) throw new TemplateFault('an action is empty');
  return commands;
}

function operandOf(token: GoToken, rest: GoToken[], depth: number): Operand {
  switch (token.is) {
    case 'text':
    case 'number':
      return { is: 'value', value: token.value, path: [] };
    case 'variable':
      return { is: 'variable', name: token.value, path: fieldsOf(rest) };
    case 'field':
      return { is: 'dot', path: [...(token.value === '.' ? [] : [token.value.slice(1)]), ...fieldsOf(rest)] };
    case 'word':
      return wordOf(token.value);
    case 'sign': {
      if (token.value !== '(') throw new TemplateFault(`"${token.value}" stands where a value should`);
      const commands = commandsOf(rest, depth + 1);
      if (rest.shift() === undefined) throw new TemplateFault('a parenthesis is not closed');
      return { is: 'pipeline', pipeline: { declares: [], commands }, path: fieldsOf(rest) };
    }
  }
}

function wordOf(name: string): Operand {
  if (name === 'true' || name === 'false') return { is: 'value', value: name === 'true', path: [] };
  if (name === 'nil') return { is: 'value', value: undefined, path: [] };
  if (!Object.hasOwn(goFunctions, name)) throw new TemplateFault(`"${name}" is not known here`);
  return { is: 'function', name, path: [] };
}

/** The tokens do not say whether a blank stood before a dot: `$a.b` and `$a .b` are the same here. */
function fieldsOf(rest: GoToken[]): string[] {
  const path: string[] = [];
  for (let next = rest[0]; next?.is === 'field' && next.value !== '.'; next = rest[0]) {
    path.push(next.value.slice(1));
    rest.shift();
  }
  return path;
}
