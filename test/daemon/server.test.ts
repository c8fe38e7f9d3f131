import { once } from 'node:events';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROTOCOL } from '../../src/daemon/protocol.js';
import { run, Shell } from '../cli/shell.js';

let shell: Shell;

beforeAll(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
});

afterAll(() => shell.dispose());

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly frames: Record<string, unknown>[];
}

/** A request as any HTTP/1.1 client would make it. */
async function post(
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = { 'tarn-protocol': String(PROTOCOL) },
  method = 'POST',
): Promise<Answer> {
  const sent = request({ socketPath: shell.socket, path, method, headers, agent: false });
  sent.on('error', () => undefined);
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream & Answer];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  const frames = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const { statusCode = 0 } = response as unknown as { statusCode?: number };
  return { status: statusCode, headers: response.headers, frames };
}

describe('the control socket', () => {
  it('answers any HTTP client with lines of JSON that end with done', async () => {
    const { status, frames, headers } = await post('/v1/repo.list', '{}');
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'tarn-protocol': String(PROTOCOL) });
    expect(frames).toMatchObject([{ row: { name: 'drive' } }, { done: {} }]);
  });

  it('refuses a command line that is older or newer, or says nothing', async () => {
    const older = await post('/v1/repo.list', '{}', { 'tarn-protocol': '0' });
    expect(older.status).toBe(501);
    expect(older.frames).toMatchObject([
      {
        error: {
          kind: 'unsupported',
          message: expect.stringContaining('this command line is') as unknown,
        },
      },
    ]);
    const newer = await post('/v1/repo.list', '{}', {
      'tarn-protocol': '99',
      'tarn-version': '9.9.9',
    });
    expect(newer.frames).toMatchObject([
      {
        error: {
          message: expect.stringContaining('the running daemon is the older one') as unknown,
        },
      },
    ]);
    const silent = await post('/v1/repo.list', '{}', {});
    expect(silent.status).toBe(501);
  });

  it('tells its status to every version, so that two can part', async () => {
    const { status, frames } = await post('/v1/daemon.status', '{}', { 'tarn-protocol': '99' });
    expect(status).toBe(200);
    expect(frames).toMatchObject([{ done: { protocol: PROTOCOL } }]);
  });

  it.each([
    ['/v1/nosuch', '{}', 404],
    ['/', '{}', 404],
    ['/v1/__proto__', '{}', 404],
    ['/v1/repo.list', 'not json', 400],
    ['/v1/repo.list', '[]', 400],
    ['/v1/repo.list', '{"extra":1}', 400],
    ['/v1/repo.show', '{}', 400],
    ['/v1/repo.show', '{"name":5}', 400],
    ['/v1/ls', '{"repository":"drive","ref":"main","path":"","recursive":1,"long":true}', 400],
    [
      '/v1/put',
      '{"repository":"drive","branch":"main","path":"x","sources":["rel"],"recursive":false}',
      400,
    ],
    ['/v1/cat', '{"repository":"drive","ref":"main","path":"\\ud800x"}', 400],
    ['/v1/cat', '{"repository":"drive","ref":"main","path":"../x"}', 404],
    ['/v1/cat', '{"repository":"drive","ref":"main","path":"x","start":-1}', 400],
    ['/v1/repo.show', '{"name":"nosuch"}', 404],
  ])('refuses %s with %s', async (path, body, status) => {
    const answer = await post(path, body);
    expect(answer.frames).toMatchObject([{ error: { message: expect.any(String) as unknown } }]);
    expect(answer.status).toBe(status);
  });

  it('refuses other methods and bodies without end', async () => {
    const got = await post('/v1/repo.list', '', { 'tarn-protocol': String(PROTOCOL) }, 'GET');
    expect(got.status).toBe(404);
    const long = await post('/v1/repo.show', JSON.stringify({ name: 'x'.repeat(5_000_000) }));
    expect(long.status).toBe(413);
  });

  it('ends what a client that hangs up had asked for', async () => {
    await run('truncate', ['-s', '20G', shell.path('sparse.bin')]);
    const body = JSON.stringify({
      repository: 'drive',
      branch: 'main',
      path: 'sparse.bin',
      sources: [shell.path('sparse.bin')],
      recursive: false,
    });
    const socket = createConnection(shell.socket);
    socket.write(
      `POST /v1/put HTTP/1.1\r\nhost: tarn\r\ntarn-protocol: ${PROTOCOL}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const jobs = async (): Promise<number> =>
      (await shell.json<{ jobs: unknown[] }>('daemon', 'status')).jobs.length;
    await expect.poll(jobs, { timeout: 20_000 }).toBe(1);
    socket.destroy();
    await expect.poll(jobs, { timeout: 20_000 }).toBe(0);
    expect((await shell.tarn(['status', 'drive/main'])).stderr).toContain('nothing is staged');
  });

  it('exits with 130 when interrupted, and the daemon stops the work', async () => {
    await run('truncate', ['-s', '20G', shell.path('sparse.bin')]);
    const child = shell.start(['put', shell.path('sparse.bin'), 'drive/main/sparse.bin']);
    const status = async (): Promise<number> =>
      (await shell.json<{ jobs: unknown[] }>('daemon', 'status')).jobs.length;
    const closed = once(child, 'close');
    await expect.poll(status, { timeout: 20_000 }).toBe(1);
    child.kill('SIGINT');
    expect((await closed)[0]).toBe(130);
    await expect.poll(status, { timeout: 20_000 }).toBe(0);
  });
});
