/** Trees of C expressions. */
import { ExpressionError, type Token, tokenize } from './lexer.ts';

export type Node =
  | {
      readonly kind: 'integer';
      readonly value: bigint;
      readonly unsigned: boolean;
      readonly long: boolean;
      readonly decimal: boolean;
    }
  | { readonly kind: 'float'; readonly value: number; readonly single: boolean }
  | { readonly kind: 'character'; readonly value: number }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'register'; readonly name: string }
  /** A name, maybe with namespaces, and maybe that of one file. */
  | { readonly kind: 'name'; readonly name: string; readonly file: string | null }
  | { readonly kind: 'unary'; readonly operator: '*' | '&' | '-' | '+' | '!' | '~'; readonly operand: Node }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Node; readonly right: Node }
  | { readonly kind: 'condition'; readonly test: Node; readonly yes: Node; readonly no: Node }
  | { readonly kind: 'member'; readonly object: Node; readonly name: string; readonly arrow: boolean }
  | { readonly kind: 'index'; readonly object: Node; readonly index: Node }
  | { readonly kind: 'cast'; readonly type: TypeNode; readonly operand: Node }
  | { readonly kind: 'sizeofType'; readonly type: TypeNode }
  | { readonly kind: 'sizeof'; readonly operand: Node };

/** A type as an expression writes it. */
export type TypeNode =
  | { readonly kind: 'named'; readonly tag: 'struct' | 'union' | 'enum' | 'class' | null; readonly name: string }
  | { readonly kind: 'pointer'; readonly target: TypeNode }
  | { readonly kind: 'array'; readonly element: TypeNode; readonly count: number | null };

const TAGS = new Set(['struct', 'union', 'enum', 'class']);
const QUALIFIERS = new Set(['const', 'volatile', 'restrict', 'register', 'static']);
const BASE_WORDS = new Set(['void', 'char', 'short', 'int', 'long', 'signed', 'unsigned', 'float', 'double', '_Bool']);

/** Binding strength of the binary operators; `@` is gdb's: an array that begins with what is on its left. */
const BINDING: Record<string, number> = {
  '||': 1,
  '&&': 2,
  '|': 3,
  '^': 4,
  '&': 5,
  '==': 6,
  '!=': 6,
  '<': 7,
  '>': 7,
  '<=': 7,
  '>=': 7,
  '<<': 8,
  '>>': 8,
  '@': 9,
  '+': 10,
  '-': 10,
  '*': 11,
  '/': 11,
  '%': 11,
};
const ASSIGNMENTS = new Set(['=', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=', '++', '--']);
const DEPTH_MAX = 200;

/** Parses an expression. `isType` tells whether a name is that of a type, which C's grammar cannot do without. */
export function parseExpression(text: string, isType: (name: string) => boolean): Node {
  return new Parser(text, isType).whole();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #isType: (name: string) => boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, isType: (name: string) => boolean) {
    this.#text = text;
    this.#tokens = tokenize(text);
    this.#isType = isType;
  }

  whole(): Node {
    if (this.#peek().kind === 'end') throw new ExpressionError('an expression is missing');
    const node = this.#expression();
    const rest = this.#peek();
    if (rest.kind !== 'end') this.#unexpected(rest);
    return node;
  }

  #peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
  }
  #take(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }
  #isOperator(text: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token.kind === 'operator' && token.text === text;
  }
  #accept(text: string): boolean {
    if (!this.#isOperator(text)) return false;
    this.#at++;
    return true;
  }
  #expect(text: string): void {
    if (!this.#accept(text)) this.#unexpected(this.#peek(), `'${text}'`);
  }
  #unexpected(token: Token, wanted?: string): never {
    if (token.kind === 'operator' && ASSIGNMENTS.has(token.text)) {
      throw new ExpressionError(`'${token.text}' would change the guest, which evaluating does not`);
    }
    if (token.kind === 'end')
      throw new ExpressionError(`the expression ends early${wanted ? `: ${wanted} is missing` : ''}`);
    const found = 'text' in token ? `'${token.text}'` : 'a number';
    const what = wanted ? `${wanted} expected, found ${found}` : `${found} is unexpected`;
    throw new ExpressionError(`${what} at column ${token.at + 1}`);
  }
  #deeper<T>(work: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new ExpressionError('the expression is nested too deeply');
    const result = work();
    this.#depth--;
    return result;
  }

  #expression(): Node {
    return this.#deeper(() => {
      const test = this.#binary(1);
      if (!this.#accept('?')) return test;
      const yes = this.#expression();
      this.#expect(':');
      return { kind: 'condition', test, yes, no: this.#expression() };
    });
  }

  #binary(least: number): Node {
    let left = this.#unary();
    for (;;) {
      const token = this.#peek();
      const binding = token.kind === 'operator' ? BINDING[token.text] : undefined;
      if (token.kind !== 'operator' || binding === undefined || binding < least) return left;
      this.#at++;
      left = { kind: 'binary', operator: token.text, left, right: this.#binary(binding + 1) };
    }
  }

  #unary(): Node {
    return this.#deeper(() => {
      const token = this.#peek();
      if (token.kind === 'name' && token.text === 'sizeof') {
        this.#at++;
        if (this.#isOperator('(') && this.#typeBegins(1)) {
          this.#at++;
          const type = this.#type();
          this.#expect(')');
          return { kind: 'sizeofType', type };
        }
        return { kind: 'sizeof', operand: this.#unary() };
      }
      if (token.kind !== 'operator') return this.#postfix(this.#primary());
      switch (token.text) {
        case '*':
        case '&':
        case '-':
        case '+':
        case '!':
        case '~':
          this.#at++;
          return { kind: 'unary', operator: token.text, operand: this.#unary() };
        case '&&':
          return this.#unexpected(token);
        case '(':
          if (this.#typeBegins(1)) {
            this.#at++;
            const type = this.#type();
            this.#expect(')');
            return { kind: 'cast', type, operand: this.#unary() };
          }
          return this.#postfix(this.#primary());
        case '{': {
          // gdb's {type} address.
          this.#at++;
          const target = this.#type();
          this.#expect('}');
          const operand: Node = { kind: 'cast', type: { kind: 'pointer', target }, operand: this.#unary() };
          return { kind: 'unary', operator: '*', operand };
        }
        default:
          return this.#postfix(this.#primary());
      }
    });
  }

  #postfix(start: Node): Node {
    let node = start;
    for (;;) {
      if (this.#accept('[')) {
        node = { kind: 'index', object: node, index: this.#expression() };
        this.#expect(']');
      } else if (this.#isOperator('.') || this.#isOperator('->')) {
        const arrow = this.#isOperator('->');
        this.#at++;
        const token = this.#take();
        // Members of Rust's tuples are numbers.
        if (token.kind === 'integer') node = { kind: 'member', object: node, name: `__${token.value}`, arrow };
        else if (token.kind === 'name') node = { kind: 'member', object: node, name: token.text, arrow };
        else this.#unexpected(token, 'the name of a member');
      } else if (this.#isOperator('(')) {
        throw new ExpressionError('functions of the guest cannot be called');
      } else {
        return node;
      }
    }
  }

  #primary(): Node {
    const token = this.#take();
    switch (token.kind) {
      case 'integer':
      case 'float':
      case 'character':
      case 'string':
        return token;
      case 'register':
        return { kind: 'register', name: token.text };
      case 'file':
        this.#expect('::');
        return this.#name(token.text);
      case 'name':
        this.#at--;
        return this.#name(null);
      case 'operator':
        if (token.text === '(') {
          const node = this.#expression();
          this.#expect(')');
          return node;
        }
        if (token.text === '::') return this.#name(null);
        return this.#unexpected(token);
      default:
        return this.#unexpected(token);
    }
  }

  #name(file: string | null): Node {
    const token = this.#peek();
    if (token.kind !== 'name') this.#unexpected(token, 'a name');
    return { kind: 'name', name: this.#qualified(), file };
  }

  /** `a::b::c`, where a component may have template arguments. */
  #qualified(): string {
    const parts: string[] = [];
    do {
      const token = this.#take();
      if (token.kind !== 'name') this.#unexpected(token, 'a name');
      parts.push(token.text + this.#templateArguments([...parts, token.text].join('::')));
    } while (this.#accept('::'));
    return parts.join('::');
  }

  /** Takes `<int, 4>` behind a name, if that is a type. Otherwise `<` compares. */
  #templateArguments(name: string): string {
    if (!this.#isOperator('<')) return '';
    const from = this.#peek().at;
    let depth = 0;
    for (let ahead = 0; ; ahead++) {
      const token = this.#peek(ahead);
      if (token.kind === 'end') return '';
      if (token.kind !== 'operator') continue;
      if (token.text === '<') depth++;
      else if (token.text === '>') depth--;
      else if (token.text === '>>') depth -= 2;
      if (depth > 0) continue;
      const text = this.#text.slice(from, token.at + token.text.length);
      if (depth < 0 || !this.#isType(name + text)) return '';
      this.#at += ahead + 1;
      return text;
    }
  }

  /** Whether a type stands so many tokens ahead. */
  #typeBegins(ahead: number): boolean {
    const token = this.#peek(ahead);
    if (token.kind !== 'name') return false;
    if (TAGS.has(token.text) || QUALIFIERS.has(token.text) || BASE_WORDS.has(token.text)) return true;
    // The name is read as it would be taken, and given back.
    const before = this.#at;
    this.#at += ahead;
    try {
      return this.#isType(this.#qualified());
    } catch (error) {
      if (error instanceof ExpressionError) return false;
      throw error;
    } finally {
      this.#at = before;
    }
  }

  #type(): TypeNode {
    let tag: 'struct' | 'union' | 'enum' | 'class' | null = null;
    const base: string[] = [];
    let name: string | null = null;
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'name') break;
      if (QUALIFIERS.has(token.text)) {
        this.#at++;
      } else if (BASE_WORDS.has(token.text) && name === null) {
        base.push(token.text);
        this.#at++;
      } else if (TAGS.has(token.text) && name === null) {
        tag = token.text as 'struct';
        this.#at++;
        name = this.#qualified();
      } else if (base.length === 0 && name === null) {
        name = this.#qualified();
      } else {
        break;
      }
    }
    if (name === null && base.length === 0) this.#unexpected(this.#peek(), 'a type');
    return this.#declarator({ kind: 'named', tag, name: name ?? baseName(base) });
  }

  /** Stars and brackets behind a type, in C's order: `(*)[4]` is a pointer to an array. */
  #declarator(start: TypeNode): TypeNode {
    let type = start;
    for (;;) {
      const token = this.#peek();
      if (this.#accept('*')) type = { kind: 'pointer', target: type };
      else if (token.kind === 'name' && QUALIFIERS.has(token.text)) this.#at++;
      else break;
    }
    if (this.#isOperator('(') && this.#isOperator('*', 1)) {
      this.#at++;
      const inner = this.#at;
      // What is in the brackets applies to what stands behind them.
      while (!this.#isOperator(')')) {
        if (this.#take().kind === 'end') this.#unexpected(this.#peek(), "')'");
      }
      this.#at++;
      const outer = this.#suffix(type);
      const behind = this.#at;
      this.#at = inner;
      const result = this.#declarator(outer);
      this.#expect(')');
      this.#at = behind;
      return result;
    }
    return this.#suffix(type);
  }

  #suffix(type: TypeNode): TypeNode {
    const counts: (number | null)[] = [];
    while (this.#accept('[')) {
      const token = this.#peek();
      if (token.kind === 'integer') this.#at++;
      counts.push(token.kind === 'integer' ? Number(token.value) : null);
      this.#expect(']');
    }
    return counts.reduceRight<TypeNode>((element, count) => ({ kind: 'array', element, count }), type);
  }
}

/** One name for a type that C lets be written in many ways. */
function baseName(words: readonly string[]): string {
  const has = (word: string) => words.includes(word);
  const unsigned = has('unsigned');
  if (has('void') || has('float') || has('_Bool')) return words.find((w) => w !== 'signed' && w !== 'unsigned')!;
  if (has('double')) return has('long') ? 'long double' : 'double';
  if (has('char')) return unsigned ? 'unsigned char' : has('signed') ? 'signed char' : 'char';
  if (has('short')) return unsigned ? 'unsigned short' : 'short';
  if (words.filter((w) => w === 'long').length > 1) return unsigned ? 'unsigned long long' : 'long long';
  if (has('long')) return unsigned ? 'unsigned long' : 'long';
  return unsigned ? 'unsigned int' : 'int';
}
