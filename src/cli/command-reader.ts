/** Reads a command's words with yargs, and has it lay out the help, from what command-line.ts lets commands declare. */
import yargs from 'yargs';
import { UserError } from '../base/assert.ts';
import type { Command, Option } from './command-line.ts';

/** What yargs is to leave as it was typed: a name is one option, a value is one text. */
const PLAIN = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'nargs-eats-options': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'short-option-groups': false,
} as const;

/** Reads what follows a command's name. */
export function parse(name: string, { usage, options }: Command, words: readonly string[]): Record<string, unknown> {
  const refuse = (what: string): never => {
    throw new UserError(`${what}; chronovisor ${name} --help tells more`);
  };
  // Where yargs keeps the other words, and the program's name: it would take these options itself.
  const own = words.slice(0, optionsEnd(words)).find((word) => /^--?(_|\$0)(=|$)/.test(word));
  if (own !== undefined) refuse(`unknown option ${own.split('=')[0]}`);
  const reader = blank()
    .parserConfiguration(PLAIN)
    .strictOptions()
    .fail((message, error) => refuse(explained(message ?? error.message, words)));
  for (const [long, option] of Object.entries(options)) reader.option(long, settings(option));
  const { _: given, ...found } = reader.parseSync([...words]);
  const values: Record<string, unknown> = {};
  for (const [long, { type }] of Object.entries(options)) {
    const value = found[long];
    if (type === 'list') values[long] = value === undefined ? [] : [value].flat();
    else if (Array.isArray(value)) throw new UserError(`--${long} is given ${value.length} times`);
    else values[long] = value;
  }
  // Not by a command of yargs, which takes '-' for nothing and passes over what follows '--'.
  const plain = given.map(String);
  for (const word of usage.split(' ').filter((w) => w !== '')) {
    const value = plain.shift();
    if (value === undefined && word.startsWith('<')) refuse(`${name}: ${word} is missing`);
    values[word.slice(1, -1)] = value;
  }
  if (plain.length > 0) refuse(`${name}: '${plain[0]}' is one argument too many`);
  return values;
}

/** Number of words before `--`, behind which nothing is an option. */
export function optionsEnd(words: readonly string[]): number {
  return words.includes('--') ? words.indexOf('--') : words.length;
}

/** Without options of its own; its texts are English, as ours are. */
function blank() {
  return yargs([]).scriptName('chronovisor').locale('en').help(false).version(false);
}

function settings(option: Option) {
  const alias = option.alias === undefined ? {} : { alias: option.alias };
  // A flag with a count of values refuses a value instead of taking it for false.
  if (option.type === 'flag') return { ...alias, type: 'boolean', nargs: 0, default: false } as const;
  // A list is a text that is given several times: as an array yargs would miss an empty text.
  const one = { ...alias, type: 'string', nargs: 1 } as const;
  if (option.type === 'choice') return { ...one, choices: option.choices, default: option.default };
  return option.type === 'list' || option.default === undefined ? one : { ...one, default: option.default };
}

/** What yargs says, as a sentence that shows options as they were typed. */
function explained(message: string, words: readonly string[]): string {
  const typed = (key: string) => (words.some((word) => word.split('=')[0] === `-${key}`) ? `-${key}` : `--${key}`);
  return message
    .replace(
      /^Unknown arguments?: (.*)$/s,
      (_, keys: string) => `unknown option ${keys.split(', ').map(typed).join(', ')}`,
    )
    .replace(/^Not enough arguments following: (.*)$/s, (_, key: string) => `${typed(key)} needs a value`)
    .replace(/^Argument unexpected for: (.*)$/s, (_, key: string) => `${typed(key)} takes no value`)
    .replace(
      /^Invalid values:\s*Argument: (\S+), Given: "(.*)", Choices: (.*)$/s,
      (_, key: string, value: string, choices: string) => `${typed(key)} ${value}: one of ${choices} is needed`,
    );
}

/** The help of one command; lines of at most `width` columns. */
export function commandHelp(
  name: string,
  describe: string,
  { usage, options }: Command,
  width: number,
): Promise<string> {
  const help = blank()
    .usage(`${`$0 ${name} ${usage}`.trimEnd()}\n\n${describe}`)
    .wrap(width);
  for (const [long, option] of Object.entries(options)) {
    // Declared by a name that shows what the value is, and without a type, which would say less.
    help.option(option.type === 'flag' ? long : `${long} ${option.type === 'choice' ? 'WORD' : option.value}`, {
      ...(option.alias === undefined ? {} : { alias: option.alias }),
      group: `${option.group ?? 'Options'}:`,
      describe: option.type === 'list' ? `${option.describe} (may be repeated)` : option.describe,
      ...(option.type === 'choice' ? { choices: option.choices } : {}),
      ...('default' in option && option.default !== '' ? { default: option.default } : {}),
    });
  }
  return help.getHelp();
}

/** The help without a command: what there are. */
export function generalHelp(
  commands: Readonly<Record<string, { readonly describe: string }>>,
  width: number,
): Promise<string> {
  const help = blank()
    .usage('Records a virtual machine and replays it bit for bit.')
    .epilogue('chronovisor COMMAND --help lists all options of a command, chronovisor --version tells the version.')
    .wrap(width);
  for (const [name, { describe }] of Object.entries(commands)) help.command(name, describe);
  return help.getHelp();
}
