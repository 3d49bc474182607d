/** What the schema describes is encoded here without protobufjs's generated code: the bytes must be the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { Random } from '../../src/base/random.ts';
import { messages } from '../../src/trace/messages.ts';
import { encode } from '../../src/trace/schema.ts';

const TYPES = (messages.lookup('chronovisor.trace') as protobuf.Namespace).nestedArray.filter(
  (one) => one instanceof protobuf.Type,
);

const EDGES = [0, 1, 127, 128, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 53 - 1];

function scalar(random: Random, type: string): unknown {
  switch (type) {
    case 'uint32':
    case 'uint64':
      return type === 'uint32' ? random.pick(EDGES.slice(0, -1)) : random.pick(EDGES);
    case 'sint64': {
      const [low, high] = random.below(3) === 0 ? [0, 0] : [random.u32() | 0, random.u32() | 0];
      return random.below(2) === 0 ? { low, high, unsigned: false } : random.pick([0, -1, 5, -(2 ** 40)]);
    }
    case 'double':
      return random.pick([0, 0.5, -3, 2 ** 53 - 1]);
    case 'bool':
      return random.below(2) === 1;
    case 'string':
      return random.pick(['', 'uart0', 'grün']);
    case 'bytes':
      return Uint8Array.from({ length: random.below(4) }, () => random.below(256));
    default:
      throw new Error(`a type that this test does not know: ${type}`);
  }
}

/** Any fields of a message, some absent. */
function fieldsOf(random: Random, type: protobuf.Type): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (random.below(5) === 0) continue;
    const { resolvedType } = field.resolve();
    const one = () => {
      if (resolvedType instanceof protobuf.Type) return fieldsOf(random, resolvedType);
      return resolvedType ? random.pick(Object.values(resolvedType.values)) : scalar(random, field.type);
    };
    fields[field.name] = field.repeated ? Array.from({ length: random.below(4) }, one) : one();
  }
  return fields;
}

test('each message is encoded as protobufjs encodes it', () => {
  const random = new Random(1);
  assert.ok(TYPES.length > 10);
  for (const type of TYPES) {
    for (let i = 0; i < 300; i++) {
      const fields = fieldsOf(random, type);
      assert.deepEqual(Buffer.from(encode(type.name, fields)), Buffer.from(type.encode(fields).finish()), type.name);
    }
  }
});

test('what the bundle has instead of the text describes the same messages', () => {
  const copy = protobuf.Root.fromJSON(JSON.parse(JSON.stringify(messages.toJSON())));
  copy.resolveAll();
  const described = (root: protobuf.Root) =>
    TYPES.map(({ fullName }) => {
      const fields = root.lookupType(fullName).fieldsArray.map((field) => {
        const { id, name, type, repeated, hasPresence, resolvedType } = field.resolve();
        return { id, name, type, repeated, hasPresence: Boolean(hasPresence), kind: resolvedType?.fullName };
      });
      return { fullName, fields };
    });
  assert.deepEqual(described(copy), described(messages));
});
