import { fields, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import {
  createRef,
  deleteRef,
  listRefs,
  readCreateRef,
  readDeleteRef,
  readHistory,
  refHistory,
} from './refs.js';

export const tagList: OperationHandler<'tag.list'> = {
  read: fields({ repository: text }),
  run: (context, { repository }, output, signal) =>
    listRefs(context, 'tag', repository, output, signal),
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
