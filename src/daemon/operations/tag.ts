import type { OperationHandler } from '../operation.js';
import {
  createRef,
  deleteRef,
  listRefs,
  readCreateRef,
  readDeleteRef,
  readHistory,
  readListRefs,
  refHistory,
} from './refs.js';

export const tagList: OperationHandler<'tag.list'> = {
  read: readListRefs,
  run: (context, args, output, signal) => listRefs(context, 'tag', args, output, signal),
};

export const tagCreate: OperationHandler<'tag.create'> = {
  read: readCreateRef,
  run: (context, args, _output, signal) => createRef(context, 'tag', args, signal),
};

export const tagDelete: OperationHandler<'tag.delete'> = {
  read: readDeleteRef,
  run: (context, args, _output, signal) => deleteRef(context, 'tag', args, signal),
};

export const tagHistory: OperationHandler<'tag.history'> = {
  read: readHistory,
  run: (context, args, output, signal) => refHistory(context, 'tag', args, output, signal),
};
