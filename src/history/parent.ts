import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import { TarnError } from '../util/errors.js';

/**
 * The parent against which a commit's changes are meant. A merge has changes against each of its
 * parents, so that one must be chosen.
 * @param mainline number of the parent, from 1
 * @throws TarnError invalid
 */
export function chosenParent(
  doing: 'revert' | 'cherry-pick',
  id: CommitId,
  { parents }: Commit,
  mainline: number | undefined,
): CommitId {
  const name = `commit ${id.slice(0, 12)}`;
  if (parents.length === 0) {
    throw new TarnError('invalid', `${name} is the first of its history: it changes nothing`, {
      hint: `${doing} a commit that has one before it`,
    });
  }
  if (mainline === undefined && parents.length > 1) {
    const list = parents.map((parent, at) => `${at + 1} is ${parent.slice(0, 12)}`).join(', ');
    throw new TarnError('invalid', `${name} is a merge of ${parents.length} parents: ${list}`, {
      hint: `say with --mainline N which of them its changes are counted from; 1 is the branch that was merged into`,
    });
  }
  const parent = parents[(mainline ?? 1) - 1];
  if (parent !== undefined) return parent;
  const count = parents.length === 1 ? 'one parent' : `${parents.length} parents`;
  throw new TarnError('invalid', `${name} has ${count}, there is no parent ${mainline ?? 1}`);
}
