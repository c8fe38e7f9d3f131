import { runFilesystemSuite } from '../suites/filesystem.js';
import { plainDirectory } from './plain-directory.js';

runFilesystemSuite('a plain directory', plainDirectory);
