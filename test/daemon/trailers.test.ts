import { describe, expect, it } from 'vitest';
import { withoutTrailers } from '../../src/daemon/trailers.js';

describe('trailers of a message', () => {
  it.each([
    ['Subject only\n', 'Subject only', {}],
    ['calibration: v7', 'calibration: v7', {}],
    ['S\n\ncalibration: v7\n', 'S', { calibration: 'v7' }],
    ['S\r\n\r\na: 1\r\nb.c-d:\t 2 \r\n', 'S', { a: '1', 'b.c-d': '2' }],
    ['S\n\nBody: of text\nand more', 'S\n\nBody: of text\nand more', {}],
    ['S\n\na: 1\n\nb: 2', 'S\n\na: 1', { b: '2' }],
    ['S\n \n\n\na: 1: 2', 'S', { a: '1: 2' }],
    ['S\n\nhttp://host/path', 'S\n\nhttp://host/path', {}],
  ])('of %j', (text, message, metadata) => {
    expect(withoutTrailers(text)).toEqual({ message, metadata });
  });

  it('are refused where a key is given twice', () => {
    expect(() => withoutTrailers('S\n\na: 1\na: 2')).toThrow(/'a' twice/);
  });
});
