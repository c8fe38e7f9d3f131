import type { Entry, KeyedEntry } from '../../src/model/entry.js';
import type { ContentId } from '../../src/model/ids.js';
import { EMPTY_CONTENT } from '../../src/model/ids.js';
import { pinnedContentId } from '../../src/model/imported.js';
import { keyFromText } from '../../src/model/path.js';
import { hashOf, packOf } from './fixtures.js';

export const common = { kind: 'file', mtimeSec: 1_749_902_400, mtimeNsec: 0, mode: 0o644 } as const;
export const small = `sha256:${hashOf('small')}` as ContentId;
const large = `merkle:${hashOf('large')}` as ContentId;

const pin = { kind: 'mtime', mtimeSec: common.mtimeSec, mtimeNsec: 5 } as const;

/** One entry of each shape, and enough of them to pass a restart point. */
const SAMPLE: readonly KeyedEntry[] = (
  [
    ['calibration/', { ...common, size: 0, content: EMPTY_CONTENT, address: { kind: 'none' } }],
    [
      'calibration/camera.yaml',
      {
        ...common,
        size: 300,
        content: small,
        address: { kind: 'packed', pack: packOf('A'), offset: 4096 },
      },
    ],
    [
      'calibration/current',
      { kind: 'symlink', mtimeSec: -1, mtimeNsec: 5, mode: 0o777, target: 'camera.yaml' },
    ],
    [
      'calibration/lidar.yaml',
      {
        ...common,
        size: 128,
        content: small,
        address: { kind: 'packed', pack: packOf('A'), offset: 4396 },
      },
    ],
    [
      'labels/épave.json',
      {
        ...common,
        mtimeNsec: 999_999_999,
        mode: 0o755,
        size: 77,
        content: small,
        address: { kind: 'packed', pack: packOf('B'), offset: 0 },
        contentType: 'application/json',
        etag: 'abc',
        metadata: { 'schema-version': '3', rubric: 'glare' },
      },
    ],
    ['maps/tile.las', { ...common, size: 2_000_000, content: large, address: { kind: 'whole' } }],
    [
      'raw/run-8421.mcap',
      {
        ...common,
        size: 3_000_000,
        content: large,
        address: {
          kind: 'extents',
          extents: [
            { source: { kind: 'whole', content: large }, offset: 0, length: 2_000_000 },
            { source: { kind: 'pack', pack: packOf('B') }, offset: 77, length: 999_000 },
            { source: { kind: 'whole', content: small }, offset: 1, length: 1000 },
          ],
        },
      },
    ],
    [
      'raw/run-8421/front/000001.jpg',
      {
        ...common,
        mtimeNsec: 5,
        size: 900,
        content: pinnedContentId('file:///data/run-8421/front/000001.jpg', 900, pin),
        address: { kind: 'imported', url: 'file:///data/run-8421/front/000001.jpg', pin },
      },
    ],
    [
      'raw/run-8421/front/000002.jpg',
      {
        ...common,
        size: 901,
        content: small,
        address: { kind: 'imported', url: 'file:///data/run-8421/front/000002.jpg', pin },
      },
    ],
    [
      'raw/run-8421/notes.txt',
      {
        ...common,
        size: 2_000_001,
        content: large,
        address: { kind: 'imported', url: 'file:///données/notes', pin: { ...pin, mtimeSec: -7 } },
      },
    ],
    ...Array.from({ length: 12 }, (_, i): [string, Entry] => [
      `video/frame-${String(i).padStart(4, '0')}.jpg`,
      {
        ...common,
        size: 1000 + i,
        content: small,
        address: { kind: 'packed', pack: packOf('A'), offset: 8192 + i * 1000 + (i * (i - 1)) / 2 },
      },
    ]),
  ] as [string, Entry][]
).map(([path, entry]) => ({ key: keyFromText(path), entry }));

export function sampleItems(): readonly KeyedEntry[] {
  return SAMPLE;
}
