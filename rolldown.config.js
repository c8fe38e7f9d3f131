const shared = {
  platform: 'node',
  checks: { ineffectiveDynamicImport: false },
};

/**
 * The daemon as its own process, what a job's thread of it runs, and the daemon for those who run it in a
 * process of theirs.
 */
const daemon = {
  ...shared,
  input: {
    daemon: 'dist/daemon/main.js',
    'job-thread': 'dist/daemon/job-thread.js',
    'own-daemon': 'dist/daemon/daemon.js',
  },
  external: ['better-sqlite3', 'fuse-native'],
  // Of ES modules only what is used is taken: a cloud's SDK loads in half the time.
  resolve: {
    mainFields: ['module', 'main'],
    conditionNames: ['module', 'import', 'node', 'default'],
  },
  output: { dir: 'dist/bin', format: 'esm', cleanDir: true },
};

/**
 * The command line in two files, what all commands share and the command: each file that Node opens at its
 * start takes about a millisecond, and so do 50 KB that it compiles. Of CommonJS, which Node loads sooner, and
 * without what few commands need, above all what loads its cryptography or its processes.
 */
const commands = {
  ...shared,
  input: { main: 'dist/cli/main.js' },
  external: ['better-sqlite3', 'fuse-native'],
  plugins: [
    {
      name: 'own daemon',
      resolveId: (id) =>
        id.endsWith('/daemon/daemon.js') ? { id: './own-daemon.js', external: true } : undefined,
    },
  ],
  output: {
    dir: 'dist/bin',
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: 'command-[name]-[hash].cjs',
    codeSplitting: {
      groups: [
        {
          name: 'main',
          test: /dist\/(cli\/(?!verbs\/|bringing|checks|help|judge|left|paging|receiver|settings|sources|times)|util|model|mount\/(mount-point|mounts)|daemon\/(protocol|paths|client|frames|private-directory))/,
        },
      ],
    },
  },
};

export default [daemon, commands];
