import type { Context } from './context.js';
import type { Output } from './output.js';
import type { Arguments, OperationName, Result, Row } from './protocol.js';

/** One thing the daemon does. Operations of a noun share a file in operations/. */
export interface OperationHandler<K extends OperationName> {
  /** @throws TarnError invalid */
  readonly read: (value: unknown) => Arguments<K>;
  readonly run: (
    context: Context,
    args: Arguments<K>,
    output: Output<Row<K>>,
    signal: AbortSignal,
  ) => Promise<Result<K>>;
}

export type Handlers = { readonly [K in OperationName]: OperationHandler<K> };
