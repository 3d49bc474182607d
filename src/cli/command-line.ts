/**
 * Commands, their arguments and their options, declared once: read strictly, and listed by `--help`. It is small because a guest that starts
 * waits for it, as for every module that a command loads.
 */
import { UserError } from '../base/assert.ts';

interface OptionBase {
  readonly describe: string;
  /** One letter, given as `-o`. */
  readonly alias?: string;
  /** Heading in the help. */
  readonly group?: string;
}
/** `value` is what the help calls the value. Without a default an option that is not given is undefined. */
export type Option = OptionBase &
  (
    | { readonly type: 'flag' }
    | { readonly type: 'text'; readonly value: string; readonly default?: string }
    | { readonly type: 'list'; readonly value: string }
    | { readonly type: 'choice'; readonly choices: readonly string[]; readonly default: string }
  );
export type Options = Readonly<Record<string, Option>>;

type Value<O extends Option> = O extends { type: 'flag' }
  ? boolean
  : O extends { type: 'list' }
    ? string[]
    : O extends { type: 'choice'; choices: readonly (infer C)[] }
      ? C
      : O extends { default: string }
        ? string
        : string | undefined;
export type Values<O extends Options> = { [K in keyof O]: Value<O[K]> };

/** Names of the required (`<trace>`) and optional (`[trace]`) arguments in a command's usage. */
type Arguments<Usage extends string> = Usage extends `${infer Head} ${infer Tail}`
  ? Arguments<Head> & Arguments<Tail>
  : Usage extends `<${infer Name}>`
    ? { [K in Name]: string }
    : Usage extends `[${infer Name}]`
      ? { [K in Name]: string | undefined }
      : unknown;

/** What a module gives for a command; its name and what it is for stand in the list in main.ts. */
export interface Command {
  readonly usage: string;
  readonly options: Options;
  readonly handler: (args: never) => void | Promise<void>;
}

/** `usage` names the arguments, such as `<trace>`; the handler gets them and the options by name. */
export function command<const U extends string, const O extends Options>(
  usage: U,
  options: O,
  handler: (args: Arguments<U> & Values<O>) => void | Promise<void>,
): Command {
  return { usage, options, handler };
}

/** Reads what follows a command's name. */
export function parse(name: string, { usage, options }: Command, words: readonly string[]): Record<string, unknown> {
  const help = `; chronovisor ${name} --help tells more`;
  const values: Record<string, unknown> = {};
  const plain: string[] = [];
  const queue = [...words];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--') {
      plain.push(...queue.splice(0));
    } else if (word.startsWith('-') && word !== '-') {
      const { key, attached } = split(word);
      const found = Object.entries(options).find(([long, { alias }]) => key === `--${long}` || key === `-${alias}`);
      if (!found) throw new UserError(`unknown option ${key}${help}`);
      const [long, option] = found;
      values[long] = valueFor(option, key, attached, queue, values[long], help);
    } else {
      plain.push(word);
    }
  }
  for (const [long, option] of Object.entries(options)) values[long] ??= absent(option);
  for (const word of usage.split(' ').filter((w) => w !== '')) {
    const value = plain.shift();
    if (value === undefined && word.startsWith('<')) throw new UserError(`${name}: ${word} is missing${help}`);
    values[word.slice(1, -1)] = value;
  }
  if (plain.length > 0) throw new UserError(`${name}: '${plain[0]}' is one argument too many${help}`);
  return values;
}

/** `--name=value`, `-o=value` and `-ovalue` hold both. */
function split(word: string): { key: string; attached: string | undefined } {
  const match = /^(--[^=]+|-[^-])(=?)(.*)$/s.exec(word);
  if (!match) return { key: word, attached: undefined };
  const [, key, equals, rest] = match;
  return { key, attached: equals === '' && rest === '' ? undefined : rest };
}

function valueFor(
  option: Option,
  key: string,
  attached: string | undefined,
  queue: string[],
  before: unknown,
  help: string,
): unknown {
  if (before !== undefined && option.type !== 'list') throw new UserError(`${key} is given 2 times`);
  if (option.type === 'flag') {
    if (attached !== undefined) throw new UserError(`${key} takes no value${help}`);
    return true;
  }
  // What looks like an option is one: its name was forgotten a value more often than a value begins so.
  const separate = attached === undefined && queue[0] !== undefined && !queue[0].startsWith('--');
  const value = separate ? queue.shift() : attached;
  if (value === undefined) throw new UserError(`${key} needs a value${help}`);
  if (option.type === 'list') return [...((before as string[] | undefined) ?? []), value];
  if (option.type === 'choice' && !option.choices.includes(value)) {
    throw new UserError(`${key} ${value}: one of ${option.choices.map((c) => `"${c}"`).join(', ')} is needed${help}`);
  }
  return value;
}

function absent(option: Option): unknown {
  if (option.type === 'flag') return false;
  if (option.type === 'list') return [];
  return option.default;
}

/** The help of one command; lines of at most `width` columns. */
export function commandHelp(name: string, describe: string, { usage, options }: Command, width: number): string {
  const groups = new Map<string, [string, string][]>();
  for (const [long, option] of Object.entries(options)) {
    const { alias, group = 'Options', describe: what } = option;
    const rows = groups.get(group) ?? [];
    groups.set(group, rows);
    const value = option.type === 'flag' ? '' : option.type === 'choice' ? option.choices.join('|') : option.value;
    const fallback = 'default' in option && option.default !== '' ? ` [${option.default}]` : '';
    const names = `${alias ? `-${alias}, ` : '    '}--${long} ${value}`.trimEnd();
    rows.push([names, `${what}${option.type === 'list' ? ' (may be repeated)' : ''}${fallback}`]);
  }
  const sections = [...groups].map(([group, rows]) => `${group}:\n${columns(rows, width)}`);
  return [`chronovisor ${name} ${usage}`.trimEnd(), describe, ...sections].join('\n\n');
}

/** Rows of a name and what it means, which is wrapped to a width. */
export function columns(rows: readonly (readonly [string, string])[], width: number): string {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4;
  const wrapped = (text: string) => {
    const lines = [''];
    for (const word of text.split(' ')) {
      const last = lines.length - 1;
      if (lines[last] !== '' && left + lines[last].length + word.length + 1 > width) lines.push(word);
      else lines[last] += lines[last] === '' ? word : ` ${word}`;
    }
    return lines.join(`\n${' '.repeat(left)}`);
  };
  return rows.map(([name, text]) => `  ${name.padEnd(left - 2)}${wrapped(text)}`).join('\n');
}
