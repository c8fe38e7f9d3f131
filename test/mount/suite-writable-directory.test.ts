import { runWritableFilesystemSuite } from '../suites/writable-filesystem.js';
import { plainDirectory } from './plain-directory.js';

runWritableFilesystemSuite('a plain directory', plainDirectory);
