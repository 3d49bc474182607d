/** Conditions and messages of breakpoints, looked at where the machine stands. */
import { evaluate, formatValue, isTrue } from '../symbols/index.ts';
import type { Moment } from './moment.ts';
import type { Tell } from './protocol.ts';

/** A condition that cannot be told counts as true: nothing is passed over unseen. */
export async function holds(condition: string, hart: number, moment: Moment, tell: Tell): Promise<boolean> {
  try {
    const frame = await moment.frame({ hart, index: 0 });
    return await moment.settle(() => isTrue(evaluate(condition, frame).value));
  } catch (error) {
    tell('output', { category: 'important', output: `condition '${condition}': ${(error as Error).message}\n` });
    return true;
  }
}

/** A log message: text, and between braces expressions. */
export type MessagePart = { readonly text: string } | { readonly expression: string };

export function messageParts(message: string): MessagePart[] {
  const parts: MessagePart[] = [];
  let from = 0;
  for (const { 0: braces, 1: expression, index } of message.matchAll(/\{([^{}]+)\}/g)) {
    parts.push({ text: message.slice(from, index) }, { expression });
    from = index + braces.length;
  }
  return [...parts, { text: message.slice(from) }];
}

/** What a message says in the innermost frame of a hart. */
export async function messageText(message: string, hart: number, moment: Moment): Promise<string> {
  let text = '';
  for (const part of messageParts(message)) {
    text += 'text' in part ? part.text : await valueText(part.expression, hart, moment);
  }
  return text;
}

async function valueText(expression: string, hart: number, moment: Moment): Promise<string> {
  try {
    const frame = await moment.frame({ hart, index: 0 });
    return await moment.settle(() => {
      const { value, format } = evaluate(expression, frame);
      return formatValue(value, format ? { format } : {});
    });
  } catch (error) {
    return `<${(error as Error).message}>`;
  }
}
