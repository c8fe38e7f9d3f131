import { MemoryStore } from '../../src/store/memory-store.js';
import { runObjectStoreSuite } from '../suites/object-store.js';

runObjectStoreSuite('memory', async () => ({
  store: new MemoryStore(),
  teardown: async () => undefined,
}));
