/** The memory page: bytes from an address on; what has changed since the machine stood elsewhere is marked. */
import { element, listen, remember, remembered, send } from './host.ts';

interface State {
  expression: string;
  group: number;
}
const state = remembered<State>({ expression: '$sp', group: 1 });

type Message =
  | { kind: 'nothing' }
  | { kind: 'stopped'; position: number }
  | { kind: 'address'; address: string }
  | { kind: 'bytes'; address: string; data?: string; unreadableBytes?: number }
  | { kind: 'error'; text: string };

const ROW = 16;
const TOP = (1n << 64n) - 1n;
const GROUPS = [1, 2, 4, 8];

const expression = element('input', {
  type: 'text',
  'aria-label': 'Address',
  placeholder: 'Address: 0x80200000, $sp, &pool',
  spellcheck: 'false',
  value: state.expression,
});
const group = element('select', { 'aria-label': 'Bytes in a group' });
for (const n of GROUPS) {
  const option = element('option', { value: String(n) }, `${n} byte${n === 1 ? '' : 's'}`);
  option.selected = n === state.group;
  group.append(option);
}
const problem = element('span', { class: 'error', role: 'alert' });
const form = element('form', { class: 'bar' }, expression, group, problem);
const grid = element('div', { class: 'grid', tabindex: '0', role: 'grid', 'aria-label': 'Memory' });
const nothing = element('p', { class: 'nothing' }, 'Start debugging to see the memory of the guest.');

/** The first address that is shown. */
let base = 0n;
/** Where the expression leads: its row is marked. */
let origin: bigint | null = null;
/** Bytes by address, as they are now and as they were at the last stop that showed them; null cannot be read. */
let now = new Map<bigint, number | null>();
let before = new Map<bigint, number | null>();
let standing = -1;

const hex = (value: bigint | number, digits: number) => value.toString(16).padStart(digits, '0');
const rowsShown = () => Math.max(4, Math.floor(grid.clientHeight / ROW_PIXELS));
const ROW_PIXELS = 19;
const aligned = (address: bigint) => address - (address % BigInt(ROW));
const clamped = (address: bigint) => (address < 0n ? 0n : address > TOP - 4095n ? TOP - 4095n : address);

const evaluate = () => send({ command: 'evaluate', expression: expression.value.trim() });
const read = () => send({ command: 'read', address: `0x${base.toString(16)}`, count: rowsShown() * ROW });

function go(rows: number): void {
  base = clamped(base + BigInt(rows * ROW));
  read();
}

function received(address: string, data: string | undefined): void {
  const first = BigInt(address);
  if (first !== base) return;
  const bytes = Uint8Array.from(atob(data ?? ''), (character) => character.charCodeAt(0));
  for (let i = 0; i < rowsShown() * ROW; i++) now.set(first + BigInt(i), i < bytes.length ? bytes[i] : null);
  draw();
}

function draw(): void {
  const size = state.group;
  grid.replaceChildren(...Array.from({ length: rowsShown() }, (_, i) => row(base + BigInt(i * ROW), size)));
}

function row(address: bigint, size: number): HTMLElement {
  const line = element('div', { class: 'row', role: 'row' });
  if (origin !== null && aligned(origin) === address) line.classList.add('origin');
  const cells: HTMLElement[] = [];
  for (let i = 0; i < ROW; i += size) {
    const addresses = Array.from({ length: size }, (_, n) => address + BigInt(i + n));
    // Groups are numbers as the guest reads them: little-endian.
    const text = addresses
      .map((one) => byteText(one))
      .reverse()
      .join('');
    const cell = element(
      'span',
      { class: 'cell', role: 'gridcell', 'data-address': `0x${hex(addresses[0], 1)}` },
      text,
    );
    if (addresses.some(changed)) cell.classList.add('changed');
    if (origin !== null && addresses.includes(origin)) cell.classList.add('at');
    cells.push(cell);
  }
  const characters = Array.from({ length: ROW }, (_, i) => {
    const value = now.get(address + BigInt(i)) ?? null;
    return value === null ? ' ' : value >= 0x20 && value < 0x7f ? String.fromCharCode(value) : '.';
  });
  line.append(
    element('span', { class: 'address', role: 'rowheader' }, hex(address, 16)),
    element('span', { class: 'cells' }, ...cells),
    element('span', { class: 'characters' }, characters.join('')),
  );
  return line;
}

function byteText(address: bigint): string {
  const value = now.get(address) ?? null;
  return value === null ? '··' : hex(value, 2);
}

function changed(address: bigint): boolean {
  const old = before.get(address);
  return old !== undefined && old !== (now.get(address) ?? null);
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  state.expression = expression.value.trim();
  remember(state);
  evaluate();
});
group.addEventListener('change', () => {
  state.group = Number(group.value);
  remember(state);
  draw();
});
grid.addEventListener('wheel', (event) => {
  event.preventDefault();
  go(Math.sign(event.deltaY) * 3);
});
grid.addEventListener('keydown', (event) => {
  const moves: Readonly<Record<string, number>> = {
    ArrowUp: -1,
    ArrowDown: 1,
    PageUp: -rowsShown(),
    PageDown: rowsShown(),
  };
  if (!(event.key in moves)) return;
  event.preventDefault();
  go(moves[event.key]);
});
grid.addEventListener('dblclick', (event) => {
  const address = (event.target as HTMLElement).closest('.cell')?.getAttribute('data-address');
  if (address) send({ command: 'whoWrote', address });
});
new ResizeObserver(() => {
  if (origin !== null) read();
}).observe(grid);

document.body.replaceChildren(nothing);
listen<Message>((message) => {
  if (message.kind === 'error') {
    problem.textContent = message.text;
    return;
  }
  problem.textContent = '';
  switch (message.kind) {
    case 'nothing':
      now = new Map();
      before = new Map();
      standing = -1;
      document.body.replaceChildren(nothing);
      break;
    case 'stopped':
      if (!form.isConnected) document.body.replaceChildren(form, grid);
      if (message.position !== standing) {
        standing = message.position;
        before = now;
        now = new Map();
      }
      evaluate();
      break;
    case 'address': {
      const address = BigInt(message.address);
      // The page stays where the person has scrolled to, unless the expression leads elsewhere by now.
      if (address !== origin) base = clamped(aligned(address));
      origin = address;
      read();
      break;
    }
    case 'bytes':
      received(message.address, message.data);
      break;
  }
});
