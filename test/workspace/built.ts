import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MARK = 'dist/.built-for-tests';
/** Types are checked elsewhere; what is emitted is what counts here. */
const BUILD = `
  [ -e ${MARK} ] && [ -z "$(find src -name '*.ts' -newer ${MARK} -print -quit)" ] && exit 0
  mkdir -p dist && touch ${MARK}.new
  node_modules/.bin/tsc -p src > /dev/null
  mv ${MARK}.new ${MARK}
`;

/** Builds dist/ if a source is newer: worker threads and child processes run what is built. */
export function ensureBuilt(): void {
  const lock = 'node_modules/.build-for-tests.lock';
  execFileSync('flock', [lock, 'sh', '-c', BUILD], { cwd: ROOT, stdio: 'pipe' });
}
