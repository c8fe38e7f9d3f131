import { describe, expect, test } from 'vitest';
import type { Hash, NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { treePackKey } from '../../src/repo/layout.js';
import { TreePackStore } from '../../src/repo/tree-packs.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { InnerEncoder } from '../../src/tree/encode.js';
import type { Place } from '../../src/tree/place.js';
import { buildTree } from '../../src/tree/write.js';
import { TarnError } from '../../src/util/errors.js';
import { corrupt, faultOf, filesNamed, fresh, sample, walk } from './tree-pack-fixture.js';

describe('a damaged tree pack', () => {
  test('never gives a wrong entry, whichever byte changed, and is found by its check', async () => {
    const { objects, id, items } = await sample();
    const name = treePackKey(id);
    const sound = Buffer.from(await objects.get(name));
    expect((await new TreePackStore(objects).readPack(id)).length).toBeGreaterThan(2);
    for (let at = 0; at < sound.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const bytes = Buffer.from(sound);
        bytes[at] = (bytes[at] as number) ^ mask;
        await objects.put(name, bytes);
        try {
          expect(await walk(fresh(objects), id)).toEqual(items);
        } catch (error) {
          if (!(error instanceof TarnError)) throw error;
          expect(['corrupt', 'unsupported', 'not-found']).toContain(error.kind);
          expect(error.message).toContain(error.kind === 'not-found' ? 'trees/' : id);
        }
        // A byte of a place may lead elsewhere, where the node is looked for in vain.
        const checked = await new TreePackStore(objects).readPack(id).catch((e: unknown) => e);
        if (checked instanceof TarnError) expect(checked.message).toContain(id);
        else expect((checked as { id: Hash }[]).at(-1)?.id).toBe(id);
      }
    }
  });

  test('is named wherever it was cut', async () => {
    const { objects, id } = await sample();
    const name = treePackKey(id);
    const sound = Buffer.from(await objects.get(name));
    for (let length = 0; length < sound.length; length++) {
      await objects.put(name, sound.subarray(0, length));
      for (const read of [
        () => walk(fresh(objects), id),
        () => new TreePackStore(objects).readPack(id),
      ]) {
        const fault = await faultOf(read);
        expect(['corrupt', 'unsupported']).toContain(fault.kind);
        expect(fault.message).toContain(id);
      }
    }
  });

  test('is healed by saving the tree again where its end was lost, and else reported', async () => {
    const { objects, id, items } = await sample();
    const name = treePackKey(id);
    const sound = Buffer.from(await objects.get(name));
    for (const length of [0, 100, sound.length - 1]) {
      await objects.put(name, sound.subarray(0, length));
      await buildTree(fresh(objects), [items]);
      expect(Buffer.from(await objects.get(name)).equals(sound)).toBe(true);
    }
    await corrupt(objects, name, (bytes) => bytes.fill(0, 20, 30).subarray(0, 200));
    const fault = await faultOf(() => buildTree(fresh(objects), [items]));
    expect(fault).toMatchObject({ kind: 'corrupt' });
    expect(fault.message).toContain(name);
  });

  test('of another version says so', async () => {
    const { objects, id } = await sample();
    await corrupt(objects, treePackKey(id), (bytes) => {
      bytes[bytes.length - 1] = 2;
      return bytes;
    });
    expect(await faultOf(() => fresh(objects).load(id))).toMatchObject({ kind: 'unsupported' });
  });

  test('that is missing is named', async () => {
    const { objects, id } = await sample();
    await objects.delete(treePackKey(id));
    const fault = await faultOf(() => fresh(objects).load(id));
    expect(fault.kind).toBe('not-found');
    expect(fault.message).toContain(treePackKey(id));
  });
});

describe('a place that is wrong', () => {
  /** A root whose children's places `change` made up. */
  async function rootWith(
    objects: ObjectStore,
    id: NodeId,
    change: (place: Place, index: number, all: readonly Place[]) => Place,
  ): Promise<NodeId> {
    const store = new TreePackStore(objects);
    const root = await fresh(objects).load(id);
    if (root.kind === 'leaf') throw new Error('expected an inner root');
    const encoder = new InnerEncoder(root.level);
    const places = Array.from({ length: root.count }, (_, i) => root.placeAt(i) as Place);
    for (let i = 0; i < root.count; i++) {
      encoder.append(root.keyAt(i), {
        ...root.valueAt(i),
        place: change(places[i] as Place, i, places),
      });
    }
    const batch = store.batch();
    const node = encoder.finish();
    const bytes = Buffer.from(node.bytes);
    expect(sha256(bytes)).toBe(id);
    await objects.delete(treePackKey(id));
    const place = batch.add(id, bytes, node.places);
    await batch.finish({ id, place });
    return id;
  }

  test.each<[string, (place: Place, i: number, all: readonly Place[]) => Place]>([
    ['another node', (_, __, all) => all[all.length - 1] as Place],
    ['the middle of a record', (place) => ({ ...place, offset: place.offset + 3 })],
    ['too short a record', (place) => ({ ...place, length: place.length - 1 })],
    ['too long a record', (place) => ({ ...place, length: place.length + 1 })],
    ['bytes past the end', (place) => ({ ...place, offset: 1 << 20 })],
    ['bytes far past the end', (place) => ({ ...place, offset: 2 ** 52 })],
    ['the header', (place) => ({ ...place, offset: 0 })],
  ])('to %s is corrupt, and names pack and node', async (_, change) => {
    const objects = new MemoryStore();
    // The leaves lie in another pack than the root that is altered.
    const small = await buildTree(fresh(objects), [filesNamed(12)]);
    const pack = sha256(Buffer.from('another name'));
    await objects.put(treePackKey(pack), await objects.get(treePackKey(small.id)));
    await rootWith(objects, small.id, (place, i, all) => ({
      ...(i === 0 ? change(place, i, all) : place),
      pack: { id: pack, isDurable: true },
    }));
    const root = await fresh(objects).load(small.id);
    if (root.kind === 'leaf') throw new Error('expected an inner root');
    const fault = await faultOf(() => walk(fresh(objects), small.id));
    expect(fault.kind).toBe('corrupt');
    expect(fault.message).toContain(root.idAt(0));
    expect(fault.message).toContain(pack);
  });

  test('to a pack that is not there is named', async () => {
    const { objects, id } = await sample();
    const pack = sha256(Buffer.from('nowhere'));
    await rootWith(objects, id, (place) => ({ ...place, pack: { id: pack, isDurable: true } }));
    const fault = await faultOf(() => walk(fresh(objects), id));
    expect(fault.kind).toBe('not-found');
    expect(fault.message).toContain(treePackKey(pack));
  });
});
