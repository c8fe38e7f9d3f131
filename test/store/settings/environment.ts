import { afterEach } from 'vitest';

/** What clouds' SDKs look at. */
const OF_CLOUDS = /^(AWS|AZURE|GOOGLE|STORAGE_EMULATOR|IDENTITY|MSI|TARN_TIMEOUT)_?|_proxy$/i;

/**
 * Each test of the file sees nothing of its machine's clouds, only what it gives; afterwards all is as
 * it was.
 */
export function ownEnvironment(): (given: Readonly<Record<string, string>>) => void {
  const before = { ...process.env };
  const clear = (): void => {
    for (const name of Object.keys(process.env)) if (OF_CLOUDS.test(name)) delete process.env[name];
  };
  afterEach(() => {
    clear();
    Object.assign(process.env, before);
  });
  return (given) => {
    clear();
    Object.assign(process.env, given);
  };
}
