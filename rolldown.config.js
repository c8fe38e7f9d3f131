/**
 * The command line in two or three files: each file that Node opens at its start takes about a
 * millisecond. The daemon and the drivers stay apart; few commands need them. The daemon as its own
 * process and what a job's thread of it runs are other beginnings.
 */
export default {
  input: {
    main: 'dist/cli/main.js',
    daemon: 'dist/daemon/main.js',
    'job-thread': 'dist/daemon/job-thread.js',
  },
  platform: 'node',
  checks: { ineffectiveDynamicImport: false },
  external: ['better-sqlite3', 'fuse-native'],
  // Of ES modules only what is used is taken: a cloud's SDK loads in half the time.
  resolve: {
    mainFields: ['module', 'main'],
    conditionNames: ['module', 'import', 'node', 'default'],
  },
  output: {
    dir: 'dist/bin',
    format: 'esm',
    cleanDir: true,
    codeSplitting: {
      groups: [
        {
          // Without main.js: it awaits commands, which a file that it is in could not give it.
          name: 'commands',
          test: /dist\/(cli\/(?!main\.js)|util|model|mount\/(mount-point|mounts)|daemon\/(protocol|paths|client|frames|spawn|private-directory))/,
        },
      ],
    },
  },
};
