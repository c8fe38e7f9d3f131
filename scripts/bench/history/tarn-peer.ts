import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Lab } from '../lab.js';
import { makeChanged } from './folder.js';
import type { Built, Peer } from './peer.js';
import type { Answer } from './socket.js';
import { DaemonSocket } from './socket.js';

const execute = promisify(execFile);
const BUILD = fileURLToPath(
  new URL('../../../../scripts/bench/history/build.mjs', import.meta.url),
);
const BY = 'bench';
const REPOSITORY = 'bench';
const BRING = { author: BY, metadata: {}, prefer: [], dryRun: false };

/** A tarn daemon with a home of its own, through its socket. */
export class TarnPeer implements Peer {
  readonly name = 'tarn';
  readonly lab: Lab;
  readonly storage: string;
  readonly #socket: DaemonSocket;

  constructor(lab: Lab) {
    this.lab = lab;
    this.storage = lab.path('storage');
    this.#socket = new DaemonSocket(lab.path('home', 'run', 'daemon.sock'));
  }

  async build(files: number): Promise<Built> {
    const { stdout } = await execute(process.execPath, [BUILD, this.storage, String(files)]);
    await this.lab.tarn('repo', 'add', REPOSITORY, '--storage', this.storage);
    return JSON.parse(stdout) as Built;
  }

  /** Starts a daemon on the repository that an earlier run built; how many files `main` has. */
  async reopen(): Promise<number> {
    await this.lab.tarn('daemon', 'start');
    const { result } = await this.call('du', { ref: 'main@', path: '' });
    return Number(result['entries']);
  }

  async hasBranch(name: string): Promise<boolean> {
    const { rows } = await this.call('branch.list', {});
    return rows.some((row) => row['name'] === name);
  }

  async createBranch(name: string, from: string): Promise<void> {
    await this.call('branch.create', { name, from, by: BY });
  }

  async stage(branch: string, paths: readonly string[], round: number): Promise<void> {
    const folder = this.lab.path('changed');
    await mkdir(folder, { recursive: true });
    makeChanged(folder, paths, round);
    await this.call('put', { branch, path: '', sources: [folder], recursive: true });
    await rm(folder, { recursive: true, force: true });
  }

  async commit(branch: string, message: string): Promise<string> {
    const args = { branch, message, metadata: {}, paths: [], author: BY, wait: false };
    const { result } = await this.call('commit', args);
    return String(result['commit']);
  }

  async diff(left: string, right: string): Promise<number> {
    const { rows } = await this.call('diff', {
      from: `${left}@`,
      to: `${right}@`,
      sinceParted: false,
      paths: [],
      renames: true,
      namesOnly: false,
    });
    return rows.length;
  }

  async merge(source: string, target: string): Promise<void> {
    await this.call('merge', {
      ...BRING,
      source,
      branch: target,
      squash: false,
      fastForward: false,
    });
  }

  async revertNewest(branch: string): Promise<void> {
    await this.call('revert', { ...BRING, branch, commit: `${branch}@` });
  }

  async lookUp(ref: string, path: string): Promise<void> {
    await this.call('stat', { ref: `${ref}@`, path });
  }

  async list(ref: string, prefix: string): Promise<number> {
    const args = { ref: `${ref}@`, path: prefix, recursive: false, long: false };
    return (await this.call('ls', args)).rows.length;
  }

  async log(ref: string, path: string): Promise<number> {
    return (
      await this.call('log', {
        ref,
        paths: [path],
        metadata: [],
        firstParent: false,
        graph: false,
      })
    ).rows.length;
  }

  async metadataBytes(): Promise<number> {
    const folders = ['trees', 'commits', 'manifests'].map((name) => `${this.storage}/${name}`);
    const { stdout } = await execute('sh', [
      '-c',
      'du -sck "$@" 2>/dev/null | tail -1',
      'du',
      ...folders,
    ]);
    return Number(stdout.split('\t')[0]) * 1024;
  }

  peakMib(): Promise<number> {
    return this.lab.daemonPeakMib();
  }

  call(operation: string, args: Readonly<Record<string, unknown>>): Promise<Answer> {
    return this.#socket.call(operation, { repository: REPOSITORY, ...args });
  }

  close(): Promise<void> {
    this.#socket.close();
    return this.lab.close();
  }
}
