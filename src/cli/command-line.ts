/** Commands, their arguments and their options, declared once: command-reader.ts reads them strictly and lists them for `--help`. */

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
