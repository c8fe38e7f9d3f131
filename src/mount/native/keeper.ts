import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { installed } from '../../util/installation.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import { errnoName } from '../errno.js';
import type { Addon } from './addon.js';
import { MountLedger, type LedgerContents } from './ledger.js';

const PROGRAM = installed('native/build/Release/tarn_keeper');
/** Of a packet; native/packets.h says what each is. */
const TYPE = { hello: 'H', hold: 'A', served: 'S', drop: 'D', bye: 'B', held: 'M' } as const;
export interface KeeperOptions {
  /** Where daemons after the first reach it. */
  readonly socket: string;
  /** How long a mount may go without a daemon before it is let go of. */
  readonly limitMs: number;
  /** What starts a daemon: a program and its arguments, environment and output. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Descriptor that takes what daemons print. */
  readonly output: () => number;
  readonly onFault: (error: unknown) => void;
}

/** What a keeper holds of a mount. */
interface Holding {
  readonly id: string;
  readonly device: number;
  readonly ledger: number;
  /** Of its connection in the kernel: writing to it aborts that. */
  readonly abortFile: string;
  readonly directory: string;
}

/** A mount that a keeper held while no daemon ran. */
export interface KeptMount {
  readonly id: string;
  /** Of /dev/fuse; whoever has this closes it. */
  readonly device: number;
  readonly ledger: MountLedger;
  readonly contents: LedgerContents;
}

/**
 * The process beside the daemon that holds the connections of its mounts (native/keeper.cc), so that
 * these outlive the daemon. Without one, where it cannot be started, mounts end with the daemon.
 */
export class Keeper {
  readonly #addon: Addon;
  readonly #options: KeeperOptions;
  readonly #held = new Map<string, Holding>();
  /** Undefined until there is one, or something to hold. */
  #socket: number | undefined;

  constructor(addon: Addon, options: KeeperOptions) {
    this.#addon = addon;
    this.#options = options;
  }

  /** What a keeper holds that an earlier daemon has started. */
  find(): readonly KeptMount[] {
    const { socket: path } = this.#options;
    const socket = existsSync(path) ? this.#addon.connectPackets(path) : -1;
    if (socket < 0) return [];
    this.#socket = socket;
    if (!this.#send(TYPE.hello, [])) return [];
    const kept: KeptMount[] = [];
    for (;;) {
      const packet = this.#addon.receivePacket(socket);
      if (typeof packet === 'number') {
        for (const { device } of kept) this.#addon.closeDescriptor(device);
        this.#lose();
        return [];
      }
      const [device, ledger] = packet.descriptors;
      if (!packet.text.startsWith(TYPE.held)) return kept;
      if (device === undefined || ledger === undefined) continue;
      const mount = this.#read(packet.text.slice(1), device, ledger);
      if (mount !== undefined) kept.push(mount);
    }
  }

  /** Starts one where none runs, so that the first mount to be held does not wait for a process to start. */
  prepare(): void {
    if (this.#socket === undefined) this.#start();
  }

  /** From now on the mount outlives this process. False where there is no keeper to be had. */
  hold(holding: Holding): boolean {
    this.#held.set(holding.id, holding);
    return (this.#socket !== undefined && this.#sendHold(holding)) || this.#start();
  }

  /** The mount is served again. False where nobody holds it any more. */
  served(holding: Holding): boolean {
    this.#held.set(holding.id, holding);
    return this.#send(TYPE.served, [], holding.id);
  }

  /** The mount is no more. */
  drop(id: string): void {
    this.#held.delete(id);
    if (this.#socket !== undefined) this.#send(TYPE.drop, [], id);
  }

  /** This process ends, as it should. */
  bye(): void {
    if (this.#socket === undefined) return;
    if (this.#send(TYPE.bye, [])) this.#addon.receivePacket(this.#socket);
    this.#lose();
  }

  #read(id: string, device: number, descriptor: number): KeptMount | undefined {
    try {
      const ledger = new MountLedger(this.#addon, descriptor);
      return { id, device, ledger, contents: ledger.contents() };
    } catch (error) {
      this.#options.onFault(asTarnError(error, 'taking over a mount'));
      this.#addon.closeDescriptor(device);
      this.drop(id);
      return undefined;
    }
  }

  /** Starts one, and has it hold everything. */
  #start(): boolean {
    this.#lose();
    const pair = existsSync(PROGRAM) ? this.#addon.packetPair() : 2;
    if (typeof pair === 'number') return this.#refused(errnoName(pair));
    const [ours, theirs] = pair;
    const { socket, limitMs, command, env, output, onFault } = this.#options;
    const printed = output();
    try {
      const program = spawn(PROGRAM, [socket, String(limitMs), ...command], {
        cwd: '/',
        detached: true,
        env,
        // The keeper takes its end of the connection as descriptor 3.
        stdio: ['ignore', printed, printed, theirs],
      });
      program.on('error', onFault);
      program.unref();
    } finally {
      this.#addon.closeDescriptor(theirs);
      this.#addon.closeDescriptor(printed);
    }
    this.#socket = ours;
    return [...this.#held.values()].every((holding) => this.#sendHold(holding));
  }

  #sendHold(holding: Holding): boolean {
    const { id, device, ledger, abortFile, directory } = holding;
    return this.#send(TYPE.hold, [device, ledger], `${id}\0${abortFile}\0${directory}`);
  }

  #send(type: string, descriptors: readonly number[], text = ''): boolean {
    if (this.#socket === undefined) return false;
    const error = this.#addon.sendPacket(this.#socket, `${type}${text}`, descriptors);
    if (error !== 0) this.#lose();
    return error === 0;
  }

  #lose(): void {
    if (this.#socket !== undefined) this.#addon.closeDescriptor(this.#socket);
    this.#socket = undefined;
  }

  #refused(why: string): false {
    this.#options.onFault(
      new TarnError('unavailable', `no keeper could be started: ${why}`, {
        hint: "mounts end with the daemon; build it again: 'npm run build:native'",
      }),
    );
    return false;
  }
}
