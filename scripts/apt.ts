import * as fs from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../src/base/assert.ts';
import { requireProgram, run } from './process.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * apt with a state, a cache and a source list of its own, for packages of another release and architecture. The machine's
 * apt is only asked which mirror it uses and through which proxy.
 */
export class PrivateApt {
  readonly #folder: string;
  readonly #release: string;
  readonly #mirror: string;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(folder: string, release: string, mirror: string, config: string) {
    this.#folder = folder;
    this.#release = release;
    this.#mirror = mirror;
    this.#environment = { ...process.env, APT_CONFIG: config, LC_ALL: 'C' };
  }

  static async open(folder: string, release: string, architecture: string): Promise<PrivateApt> {
    requireProgram('apt-get', 'apt');
    const mirror = process.env.CHRONOVISOR_DEBIAN_MIRROR ?? (await systemMirror());
    for (const name of ['lists/partial', 'archives/partial', 'empty']) {
      fs.mkdirSync(join(folder, name), { recursive: true });
    }
    fs.writeFileSync(join(folder, 'status'), '');
    const config = join(folder, 'apt.conf');
    fs.writeFileSync(config, await configuration(folder, architecture));
    return new PrivateApt(folder, release, mirror, config);
  }

  /**
   * Fetches the package lists, checked against Debian's signature. A caching mirror can hold a release's signed index and
   * its lists from different days, and apt then rightly refuses them; the same release under its alias `stable` is cached
   * apart and may be whole, so it is tried second, and taken if it is the release that was asked for.
   */
  async update(): Promise<void> {
    const failures: string[] = [];
    for (const suite of [this.#release, 'stable']) {
      try {
        await this.#updateFrom(suite);
        return;
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        failures.push(error.message);
      }
    }
    throw new UserError(failures.join('\n'));
  }

  async #updateFrom(suite: string): Promise<void> {
    const signedBy = fs.existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
    fs.writeFileSync(join(this.#folder, 'sources.list'), `deb ${signedBy}${this.#mirror} ${suite} main\n`);
    await this.#run('apt-get', ['update', '--error-on=any']);
    const said = await this.#run('apt-get', ['indextargets', '--format', '$(CODENAME)', 'Created-By: Packages']);
    if (said.trim() !== this.#release)
      throw new UserError(`the mirror's ${suite} is ${said.trim()}, not ${this.#release}`);
  }

  /** The one package that `name` depends on and that looks like `pattern`: how Debian's metapackages name the real one. */
  async onlyDependency(name: string, pattern: RegExp): Promise<string> {
    const said = await this.#run('apt-cache', ['depends', name]);
    const names = [...said.matchAll(/^\s*Depends: (\S+)$/gm)].map((match) => match[1]);
    const found = names.find((dependency) => pattern.test(dependency));
    if (found === undefined) throw new UserError(`Debian's ${name} depends on no package like ${pattern}`);
    return found;
  }

  /** Downloads a package (`name` or `name=version`) unless it is there already. */
  async download(wanted: string, folder: string): Promise<{ path: string; version: string }> {
    fs.mkdirSync(folder, { recursive: true });
    await this.#run('apt-get', ['download', wanted], folder);
    const name = wanted.replace(/=.*/, '');
    const newest = fs
      .readdirSync(folder)
      .filter((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'))
      .map((file) => join(folder, file))
      .sort((a, b) => fs.statSync(b).ctimeMs - fs.statSync(a).ctimeMs)[0];
    if (newest === undefined) throw new UserError(`apt-get download left no file for ${wanted} in ${folder}`);
    const version = (await run('dpkg-deb', ['--field', newest, 'Version'])).trim();
    return { path: newest, version };
  }

  #run(program: string, args: readonly string[], folder?: string): Promise<string> {
    return run(program, args, { env: this.#environment, ...(folder === undefined ? {} : { cwd: folder }) });
  }
}

async function configuration(folder: string, architecture: string): Promise<string> {
  const settings: [key: string, value: string][] = [
    ['APT::Architecture', architecture],
    ['APT::Sandbox::User', 'root'],
    ['Acquire::Languages', 'none'],
    ['Acquire::Retries', '3'],
    ['Dir::State', folder],
    ['Dir::State::status', join(folder, 'status')],
    ['Dir::State::lists', join(folder, 'lists')],
    ['Dir::Cache', folder],
    ['Dir::Cache::archives', join(folder, 'archives')],
    ['Dir::Log', folder],
    // The machine's hooks and preferences are not ours to run.
    ['Dir::Etc::main', join(folder, 'empty/none')],
    ['Dir::Etc::parts', join(folder, 'empty')],
    ['Dir::Etc::preferences', join(folder, 'empty/none')],
    ['Dir::Etc::preferencesparts', join(folder, 'empty')],
    ['Dir::Etc::sourcelist', join(folder, 'sources.list')],
    ['Dir::Etc::sourceparts', join(folder, 'empty')],
  ];
  const machine = await run('apt-config', ['dump']);
  const transport = machine
    .split('\n')
    .filter((line) => /^Acquire::(http|https|ftp)\b/i.test(line) && !/ "";$/.test(line));
  const own = settings.map(([key, value]) => `${key} "${value}";`);
  return [...transport, ...own, 'APT::Architectures { };', `APT::Architectures { "${architecture}"; };`, ''].join('\n');
}

/** The mirror of Debian's main archive that the machine itself installs from. */
async function systemMirror(): Promise<string> {
  const list = async (...options: string[]) => {
    const format = '$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(LABEL)';
    const said = await run('apt-get', ['indextargets', ...options, '--format', format, 'Created-By: Packages']);
    return said.split('\n').map((line) => line.split('|'));
  };
  const known = (await list()).find(([, , origin, label]) => origin === 'Debian' && label === 'Debian');
  if (known) return known[0];
  // Before its first update the machine knows no origins: Debian's main archive has plain code names as releases.
  const named = (await list('--no-release-info')).find(([, release]) =>
    /^(bookworm|trixie|forky|sid|stable|testing|unstable)$/.test(release ?? ''),
  );
  if (named) return named[0];
  throw new UserError(
    'this machine installs from no Debian mirror: run apt-get update first, or set CHRONOVISOR_DEBIAN_MIRROR to the URI of one',
  );
}
