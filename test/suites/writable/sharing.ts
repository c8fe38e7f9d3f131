import { expect, it } from 'vitest';
import { Caller, base64 } from './caller.js';
import type { Stage } from './stage.js';

/** Locks between processes, and what one process sees of another. */
export function describeSharing(stage: Stage): void {
  it('keeps flock between processes, until the last descriptor is closed', async () => {
    const { one, two } = stage;
    await one.put('locked', 'x');
    for (const each of [one, two]) await each.call('open', 'f', 'locked', 'O_RDWR');
    await one.call('flock', 'f', 'LOCK_EX');
    expect(await two.errno('flock', 'f', 'LOCK_SH')).toBe('EAGAIN');
    await one.call('flock', 'f', 'LOCK_SH');
    await two.call('flock', 'f', 'LOCK_SH');
    expect(await two.errno('flock', 'f', 'LOCK_EX')).toBe('EAGAIN');
    await one.call('close', 'f');
    await two.call('flock', 'f', 'LOCK_EX');
    await two.call('close', 'f');
  });

  it('keeps record locks between processes, by ranges', async () => {
    const { one, two } = stage;
    for (const each of [one, two]) await each.call('open', 'f', 'locked', 'O_RDWR');
    await one.call('lock', 'f', 'F_WRLCK', 100, 50);
    expect(await two.errno('lock', 'f', 'F_WRLCK', 149, 10)).toMatch(/EAGAIN|EACCES/);
    expect(await two.call('lockholder', 'f', 0, 1000)).toEqual([100, 50]);
    await two.call('lock', 'f', 'F_WRLCK', 150, 10);
    await two.call('lock', 'f', 'F_RDLCK', 0, 100);
    await one.call('lock', 'f', 'F_UNLCK', 100, 50);
    await two.call('lock', 'f', 'F_WRLCK', 100, 50);
    await Promise.all([one.call('closeall'), two.call('closeall')]);
  });

  it('hands a lock on to the one who waits, also when the holder is killed', async () => {
    const { one, two } = stage;
    const killed = new Caller(one.directory);
    await killed.call('open', 'f', 'locked', 'O_RDWR');
    await killed.call('flock', 'f', 'LOCK_EX');
    await killed.call('lock', 'f', 'F_WRLCK', 0, 10);
    await one.call('open', 'f', 'locked', 'O_RDWR');
    await two.call('open', 'f', 'locked', 'O_RDWR');
    const waiting = [
      one.call('flock', 'f', 'LOCK_EX', true),
      two.call('lock', 'f', 'F_WRLCK', 0, 10, true),
    ];
    killed.kill();
    await Promise.all(waiting);
    await Promise.all([one.call('closeall'), two.call('closeall')]);
  });

  it('shows each process what another has just written', async () => {
    const { one, two } = stage;
    await one.call('open', 'w', 'talk', 'O_RDWR|O_CREAT');
    await two.call('open', 'r', 'talk', 'O_RDWR');
    for (let round = 0; round < 50; round += 1) {
      const text = `line ${String(round).padStart(4, '0')}\n`;
      await one.call('pwrite', 'w', round * 10, base64(text));
      expect((await two.bytes('r', round * 10, 10)).toString()).toBe(text);
      expect((await two.attributes('talk')).size).toBe((round + 1) * 10);
      await two.call('pwrite', 'r', round * 10, base64('LINE'));
      expect((await one.bytes('w', round * 10, 4)).toString()).toBe('LINE');
    }
    await Promise.all([one.call('closeall'), two.call('closeall')]);
  });

  it('keeps what a process had written before it was killed', async () => {
    const { one, two } = stage;
    const killed = new Caller(one.directory);
    await killed.call('open', 'f', 'killed', 'O_WRONLY|O_CREAT');
    await killed.call('write', 'f', base64('written before the end'));
    await killed.call('rename', 'killed', 'killed-too');
    killed.kill();
    expect(await two.text('killed-too')).toBe('written before the end');
  });
}
