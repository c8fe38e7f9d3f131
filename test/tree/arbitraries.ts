import fc from 'fast-check';
import type { Address, Entry, ExtentSource, FileEntry, Pin } from '../../src/model/entry.js';
import type { Hash, PackId } from '../../src/model/ids.js';
import { contentIdOf, EMPTY_CONTENT } from '../../src/model/ids.js';
import { pinnedContentId } from '../../src/model/imported.js';
import type { Key } from '../../src/model/path.js';
import { keyFromText, keyToText } from '../../src/model/path.js';
import { MTIME_SEC_MAX, PACK_END_MAX } from '../../src/tree/format.js';
import { hashOf, packOf } from './fixtures.js';

/** Few bytes, so that keys share prefixes, are prefixes of one another, and differ at the end. */
const keyByte = fc.constantFrom('a', 'b', '/', '\x00', '\x7f', '\x80', '\xfe', '\xff');

export const anyKey: fc.Arbitrary<Key> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(keyByte, { minLength: 1, maxLength: 9 }).map((b) => b.join('')),
  },
  { weight: 3, arbitrary: fc.nat(400).map((n) => `run/frame-${String(n).padStart(6, '0')}`) },
  { weight: 1, arbitrary: fc.nat(9).map((n) => `dir-${n}/`) },
  { weight: 1, arbitrary: fc.nat(255).map((n) => 'x'.repeat(1023) + String.fromCharCode(n)) },
) as fc.Arbitrary<Key>;

const anyHash: fc.Arbitrary<Hash> = fc.nat(1000).map((n) => hashOf(`hash ${n}`));
const anyPack: fc.Arbitrary<PackId> = fc.nat(4).map((n) => packOf(`pack ${n}`));

const base = {
  mtimeSec: fc.oneof(
    fc.integer({ min: 1_700_000_000, max: 1_700_100_000 }),
    fc.constantFrom(0, -1, MTIME_SEC_MAX, -MTIME_SEC_MAX),
  ),
  mtimeNsec: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
  mode: fc.oneof(fc.constantFrom(0o644, 0o777, 0), fc.integer({ min: 0, max: 0o7777 })),
};

const anyText = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 5 }));
const label = fc.option(anyText, { nil: undefined });
const metadata = fc.option(
  fc
    .array(fc.tuple(fc.oneof(fc.constantFrom('10', '9', '__proto__', 'é'), anyText), anyText), {
      minLength: 1,
      maxLength: 4,
    })
    .map((pairs) => Object.fromEntries(pairs.filter(([name]) => name !== ''))),
  { nil: undefined },
);

function present<T extends object>(value: T): T {
  const pairs = Object.entries(value).filter(
    ([, v]) => v !== undefined && (typeof v !== 'object' || Object.keys(v as object).length > 0),
  );
  return Object.fromEntries(pairs) as T;
}

const anySource: fc.Arbitrary<ExtentSource> = fc.oneof(
  anyPack.map((pack) => ({ kind: 'pack', pack }) as const),
  fc
    .tuple(anyHash, fc.constantFrom(1, 2_000_000))
    .map(([hash, size]) => ({ kind: 'whole', content: contentIdOf(size, hash) }) as const),
);

const anyExtents = fc.array(
  fc.record({
    source: anySource,
    offset: fc.oneof(fc.nat(5000), fc.constant(2 ** 52)),
    length: fc.integer({ min: 1, max: 900_000 }),
  }),
  { minLength: 1, maxLength: 5 },
);

const anySize = fc.oneof(
  fc.integer({ min: 1, max: 9000 }),
  fc.constantFrom(127, 128, 1_048_576, 1_048_577, 2 ** 31, 2 ** 40),
);

/** Places files behind one another in packs, as they usually lie, or anywhere. */
const anyPlace: fc.Arbitrary<{ size: number; address: Address }> = fc.oneof(
  fc.constant({ size: 0, address: { kind: 'none' } as const }),
  anySize.map((size) => ({ size, address: { kind: 'whole' } as const })),
  fc
    .tuple(anySize, anyPack, fc.constantFrom(0, 4096, PACK_END_MAX - 2 ** 40))
    .map(([size, pack, offset]) => ({ size, address: { kind: 'packed', pack, offset } as const })),
  anyExtents.map((extents) => ({
    size: extents.reduce((sum, { length }) => sum + length, 0),
    address: { kind: 'extents', extents } as const,
  })),
);

const anyPin: fc.Arbitrary<Pin> = fc.oneof(
  fc.record({
    kind: fc.constant('mtime' as const),
    mtimeSec: base.mtimeSec,
    mtimeNsec: base.mtimeNsec,
  }),
  fc
    .tuple(fc.constantFrom('a', 'é'.repeat(64), 'd41d8cd98f00b204e9800998ecf8427e-12'), label)
    .map(([etag, version]) => ({
      kind: 'object' as const,
      etag,
      ...(version === undefined || version === '' ? {} : { version }),
    })),
);

/** A folder, of which the key's last components may be found below it, or a part of them. */
const anyFolder = fc.constantFrom(
  'file:///',
  'file:///data/',
  'file:///données/run/',
  'x',
  'file:///a/b/',
  's3://fleet-logs?region=eu-central-1/raw/',
);

interface ImportedFrom {
  readonly folder: string;
  readonly components: number;
  readonly rest: string;
  readonly pin: Pin | undefined;
  readonly isPinned: boolean;
}

const anyImport: fc.Arbitrary<ImportedFrom> = fc.record({
  folder: anyFolder,
  components: fc.nat(3),
  rest: fc.constantFrom('', '', '', 'b', '/', 'é.jpg'),
  pin: fc.option(anyPin, { nil: undefined }),
  isPinned: fc.boolean(),
});

/** The same file, imported from somewhere that its key may have to do with. */
function imported(key: Key, file: FileEntry, from: ImportedFrom): FileEntry {
  const components = key.split('/');
  const tail = components.slice(-1 - from.components).join('/');
  const text = keyToText(tail as Key);
  const url = `${from.folder}${keyFromText(text) === tail ? text : ''}${from.rest}`;
  const { size, mtimeSec, mtimeNsec } = file;
  const pin = from.pin ?? { kind: 'mtime', mtimeSec, mtimeNsec };
  const content = from.isPinned ? pinnedContentId(url, size, pin) : file.content;
  return { ...file, content, address: { kind: 'imported', url, pin } };
}

const anyFile = fc
  .tuple(
    fc.record(base),
    anyPlace,
    anyHash,
    fc.record({ contentType: label, etag: label, metadata }),
  )
  .map(([common, { size, address }, hash, extras]) => ({
    kind: 'file',
    ...common,
    size,
    content: size === 0 ? EMPTY_CONTENT : contentIdOf(size, hash),
    address,
    ...present(extras),
  })) as fc.Arbitrary<Entry>;

const anySymlink = fc
  .tuple(fc.record(base), anyText, fc.record({ metadata }))
  .map(([common, target, extras]) => ({
    kind: 'symlink',
    ...common,
    target: target === '' ? '../x' : target,
    ...present(extras),
  })) as fc.Arbitrary<Entry>;

export const anyEntry: fc.Arbitrary<Entry> = fc.oneof(
  { weight: 6, arbitrary: anyFile },
  { weight: 1, arbitrary: anySymlink },
);

const anyKeyedEntry: fc.Arbitrary<[Key, Entry]> = fc
  .tuple(anyKey, anyEntry, fc.option(anyImport, { nil: undefined }))
  .map(([key, entry, from]) => {
    const canImport = entry.kind === 'file' && entry.size > 0 && from !== undefined;
    return [key, canImport ? imported(key, entry, from) : entry];
  });

export function anyEntries(minLength: number, maxLength: number): fc.Arbitrary<Map<Key, Entry>> {
  return fc
    .array(anyKeyedEntry, { minLength, maxLength, size: 'max' })
    .map((pairs) => new Map(pairs));
}
