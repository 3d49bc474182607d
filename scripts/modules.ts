/** Kernel modules and the order in which they load, from what each module says about itself. */

/** The values of one key of a module's `.modinfo` section: NUL-terminated `key=value` strings. */
export function modinfo(module: Buffer, key: string): string[] {
  const values: string[] = [];
  const needle = Buffer.from(`\0${key}=`);
  for (let at = module.indexOf(needle); at >= 0; at = module.indexOf(needle, at + 1)) {
    const start = at + needle.length;
    values.push(module.toString('latin1', start, module.indexOf(0, start)));
  }
  return values;
}

/** Soft dependencies name an algorithm; these modules provide it in plain C. */
const GENERIC_PROVIDERS: { [name: string]: string } = { 'crypto-crc32c': 'crc32c_generic' };

/**
 * The modules with all that they depend on, dependencies first. `fetch` returns undefined for what is no module: it is
 * built into the kernel, or only softly wanted.
 */
export async function loadOrder(
  wanted: readonly string[],
  fetch: (name: string) => Promise<Buffer | undefined>,
): Promise<string[]> {
  const order: string[] = [];
  const seen = new Set<string>();
  const visit = async (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    const module = await fetch(name);
    if (module === undefined) return;
    const hard = modinfo(module, 'depends').flatMap((list) => list.split(','));
    const soft = modinfo(module, 'softdep').flatMap((text) => text.replace(/^pre: /, '').split(' '));
    for (const dependency of [...hard, ...soft.map((name) => GENERIC_PROVIDERS[name] ?? name)]) {
      if (dependency !== '') await visit(dependency.replaceAll('-', '_'));
    }
    order.push(name);
  };
  for (const name of wanted) await visit(name);
  return order;
}
