import type { Page } from '../daemon/protocol/terms.js';
import type { Input, Option } from './command.js';
import { wholeNumber } from './parse.js';

/** Of a list of `what`: how many, and behind which; `after` is how that one shows in the help. */
export const PAGE_OPTIONS = (what: string, after: string): Readonly<Record<string, Option>> => ({
  limit: { short: 'n', value: 'N', what: `at most N ${what}` },
  after: { value: after, what: `only those behind ${after} in the list, to go on from a page` },
});

/** @throws UsageError */
export function pageOf(input: Input): Page {
  const [limit, after] = [input.value('limit'), input.value('after')];
  return {
    ...(limit === undefined ? {} : { limit: wholeNumber(limit, 'limit') }),
    ...(after === undefined ? {} : { after }),
  };
}
