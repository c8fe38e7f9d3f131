import { branchOfWorkspace } from '../model/workspace-name.js';
import { errnoOf } from '../mount/errno.js';
import type { CommitAnswer, Controls } from '../overlay/control-filesystem.js';
import type { LiveWorkspace } from '../overlay/live-workspace.js';
import { asTarnError, isOurs, TarnError } from '../util/errors.js';
import { escapeControls } from '../util/printable.js';
import type { Errno } from '../vfs/filesystem.js';
import type { Context } from './context.js';
import { commitStaged } from './operations/commit.js';
import { liveStatus } from './operations/staging.js';
import { commitRow } from './rows.js';
import {
  changeLine,
  committedLine,
  commitLines,
  leftLine,
  leftNotes,
  statusSummary,
} from './texts.js';
import { withoutTrailers } from './trailers.js';

/** Changes that `status` lists. */
const CHANGES_MAX = 10_000;
/** Commits that `log` lists. */
const COMMITS_MAX = 20;
/** As of a commit's message. */
const MESSAGE_BYTES_MAX = 65_536;

/** What a mounted branch has in `.tarn`. */
export class BranchControls implements Controls {
  readonly #context: Context;
  readonly #live: LiveWorkspace;
  readonly #repository: string;
  readonly #author: string;

  constructor(context: Context, live: LiveWorkspace, repository: string, author: string) {
    this.#context = context;
    this.#live = live;
    this.#repository = repository;
    this.#author = author;
  }

  async status(signal: AbortSignal): Promise<string> {
    const lines: string[] = [];
    const take = (row: Parameters<typeof changeLine>[0]): void => {
      lines.push(changeLine(row, escapeControls));
    };
    const result = await liveStatus(this.#live, { limit: CHANGES_MAX }, take, signal);
    lines.push(...(result.left ?? []).map((row) => leftLine(row, escapeControls)));
    lines.push(statusSummary(result, this.#on, result.more));
    if (result.more) lines.push(`these are the first ${CHANGES_MAX} changes`);
    return textOf(lines);
  }

  async log(signal: AbortSignal): Promise<string> {
    const lines: string[] = [];
    await this.#context.threads.run(
      'log',
      {
        repository: this.#repository,
        ref: `${branchOfWorkspace(this.#live.branch)}@`,
        paths: [],
        metadata: [],
        firstParent: false,
        graph: false,
        limit: COMMITS_MAX,
      },
      {
        signal,
        onRows: (rows) => {
          for (const { id, commit } of rows) {
            lines.push(...commitLines(commitRow(id, commit), escapeControls));
          }
        },
      },
    );
    return textOf(lines);
  }

  async commit(bytes: Uint8Array): Promise<CommitAnswer> {
    try {
      const { message, metadata } = withoutTrailers(messageOf(bytes));
      const made = await commitStaged(
        this.#context,
        {
          repository: this.#repository,
          branch: this.#live.branch,
          message,
          metadata,
          paths: [],
          author: this.#author,
          wait: false,
        },
        new AbortController().signal,
      );
      const done = committedLine(made, this.#on, escapeControls);
      return { text: textOf([done, ...leftNotes(made.left ?? [], escapeControls)]) };
    } catch (thrown) {
      const error = asTarnError(thrown);
      const hint = error.hint === undefined ? [] : [`hint: ${error.hint}`];
      const about = { repository: this.#repository, branch: this.#live.branch };
      if (isOurs(error)) this.#context.log.fault('not committed', thrown, about);
      return { text: textOf([`not committed: ${error.message}`, ...hint]), errno: whyNot(error) };
    }
  }

  get #on(): string {
    return `${this.#repository}/${this.#live.branch}`;
  }
}

/** @throws TarnError invalid, too-large */
function messageOf(bytes: Uint8Array): string {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new TarnError('too-large', `a message has ${MESSAGE_BYTES_MAX} bytes at most`);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.trim() !== '') return text;
  } catch (error) {
    throw new TarnError('invalid', 'the message is not UTF-8', { cause: error });
  }
  throw new TarnError('invalid', 'a commit needs a message', { hint: 'say why in it' });
}

function whyNot(error: TarnError): Errno {
  if (error.kind === 'conflict') return 'EBUSY';
  return error.kind === 'nothing-to-commit' ? 'ENODATA' : errnoOf(error);
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
