/** Kernel modules that are loaded, and where their sections are. */
import { Unavailable } from '../symbols/index.ts';
import { BUILD_ID_NOTE_BYTES, buildIdIn } from './build-id.ts';
import type { Kernel } from './kernel.ts';
import { collect, type Found, listOf } from './list.ts';
import type { KernelObject } from './object.ts';

export interface Module {
  readonly name: string;
  /** As /proc/modules has it. */
  readonly state: 'Live' | 'Loading' | 'Unloading' | 'Unformed';
  /** Where its code is. */
  readonly address: bigint;
  /** Bytes that it takes. */
  readonly bytes: number;
  /** Who holds it, modules among them; null in a kernel that does not unload. */
  readonly uses: number | null;
  readonly usedBy: readonly string[];
  readonly sections: readonly Section[];
  /** Its build id in hexadecimal, if it has one in memory. */
  readonly buildId: string | null;
}

export interface Section {
  readonly name: string;
  readonly address: bigint;
}

interface Region {
  readonly base: bigint;
  readonly bytes: number;
}

/** `enum module_state` (include/linux/module.h). */
const STATES = ['Live', 'Loading', 'Unloading', 'Unformed'] as const;
/** What `module_refcount` takes off: a module holds itself. */
const OWN_REFERENCE = 1;
const SECTIONS_MAX = 4096;
const REGIONS_MAX = 16;

export function modulesOf(kernel: Kernel): Found<Module> {
  return collect(function* () {
    // A kernel without modules has no such list.
    const head = kernel.find('modules');
    if (!head) return;
    for (const module of listOf(kernel, 'the list of modules', head, 'struct module', 'list')) {
      const state = STATES[module.at('state').number];
      if (state === undefined) {
        const where = `0x${module.address.toString(16)}`;
        throw new Unavailable(`the list of modules is garbled: the state of the module at ${where} is none`);
      }
      // Its place is taken, and nothing else is there yet.
      if (state !== 'Unformed') yield readModule(kernel, module, state);
    }
  });
}

/**
 * What is another one whenever modules have come, gone or given memory up: the ends of the list, and how often the tree by which the kernel finds modules was
 * changed. Null in a kernel that has no such tree.
 */
export function modulesMark(kernel: Kernel): string | null {
  const [list, tree] = [kernel.find('modules'), kernel.find('mod_tree')];
  if (!list || !tree?.has('root.seq')) return null;
  const changes = tree.at('root').either('seq.seqcount.sequence', 'seq.sequence');
  return [list.at('next').pointer, list.at('prev').pointer, changes.big].join();
}

function readModule(kernel: Kernel, module: KernelObject, state: Module['state']): Module {
  const regions = regionsOf(module);
  const inside = ({ address }: Section) =>
    regions.some(({ base, bytes }) => address >= base && address < base + BigInt(bytes));
  // What was only needed to begin has been given up.
  const sections = sectionsOf(module).filter(inside);
  return {
    name: module.at('name').text,
    state,
    address: regions[0]?.base ?? 0n,
    bytes: regions.reduce((sum, { bytes }) => sum + bytes, 0),
    uses: module.has('refcnt') ? module.at('refcnt.counter').number - OWN_REFERENCE : null,
    usedBy: module.has('source_list') ? [...usersOf(kernel, module)] : [],
    sections,
    buildId: buildIdOf(sections, module),
  };
}

/** Where its code and data are: the first is that of its code. In an array since Linux 6.4. */
function regionsOf(module: KernelObject): Region[] {
  const region = (part: KernelObject): Region => ({ base: part.at('base').pointer, bytes: part.at('size').number });
  if (!module.has('mem')) return ['core_layout', 'init_layout'].map((name) => region(module.at(name)));
  const all = module.at('mem');
  const { plain } = all.value;
  const count = plain.kind === 'array' ? Math.min(plain.count ?? 0, REGIONS_MAX) : 0;
  return Array.from({ length: count }, (_, i) => region(all.element(i)));
}

function* usersOf(kernel: Kernel, module: KernelObject): Generator<string> {
  const list = module.at('source_list');
  for (const use of listOf(kernel, 'the list of users of a module', list, 'struct module_use', 'source_list')) {
    yield use.at('source').deref().at('name').text;
  }
}

function sectionsOf(module: KernelObject): Section[] {
  // A kernel without sysfs does not keep them.
  if (!module.has('sect_attrs') || module.at('sect_attrs').pointer === 0n) return [];
  const all = module.at('sect_attrs').deref();
  const attributes = all.at('attrs');
  const sections: Section[] = [];
  // Counted up to Linux 6.13; since then the last has no name.
  const count = all.has('nsections') ? all.at('nsections').number : SECTIONS_MAX;
  for (let i = 0; i < Math.min(count, SECTIONS_MAX); i++) {
    const attribute = attributes.element(i);
    const name = attribute.either('battr.attr.name', 'attr.name', 'name');
    if (name.pointer === 0n) break;
    sections.push({ name: name.text, address: attribute.either('address', 'private').pointer });
  }
  return sections;
}

/** Of the note that the linker made. */
function buildIdOf(sections: readonly Section[], { value }: KernelObject): string | null {
  const note = sections.find(({ name }) => name === '.note.gnu.build-id');
  const bytes = note ? value.frame.context.memory.read(note.address, BUILD_ID_NOTE_BYTES) : null;
  return bytes && buildIdIn(bytes);
}
