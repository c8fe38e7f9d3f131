import { open } from 'node:fs/promises';
import { McapIndexedReader, McapWriter } from '@mcap/core';
import { DURATION_S, START_NS, inGlare, noise, poseAt } from './world.js';

const TOPICS = {
  '/imu': { schema: 'sensors/Imu', rate_hz: 100 },
  '/gps/fix': { schema: 'sensors/Fix', rate_hz: 10 },
  '/planner/state': { schema: 'planner/State', rate_hz: 20 },
} as const;
type Topic = keyof typeof TOPICS;

/** Writes the drive's log in MCAP with JSON messages: IMU, GPS and what the planner decided. */
export async function writeLog(path: string): Promise<void> {
  const file = await open(path, 'w');
  let position = 0n;
  try {
    const writer = new McapWriter({
      chunkSize: 64 * 1024,
      writable: {
        write: async (bytes: Uint8Array) => {
          await file.write(bytes);
          position += BigInt(bytes.byteLength);
        },
        position: () => position,
      },
    });
    await writer.start({ profile: '', library: 'tarn sample drive' });
    const channels = new Map<Topic, number>();
    for (const topic of Object.keys(TOPICS) as Topic[]) {
      const schemaId = await writer.registerSchema({
        name: TOPICS[topic].schema,
        encoding: 'jsonschema',
        data: Buffer.from(JSON.stringify({ title: TOPICS[topic].schema, type: 'object' })),
      });
      channels.set(
        topic,
        await writer.registerChannel({
          topic,
          schemaId,
          messageEncoding: 'json',
          metadata: new Map(),
        }),
      );
    }
    for (const { topic, seconds, sequence, body } of messages()) {
      const time = START_NS + BigInt(Math.round(seconds * 1e9));
      await writer.addMessage({
        channelId: channels.get(topic) ?? 0,
        sequence,
        logTime: time,
        publishTime: time,
        data: Buffer.from(JSON.stringify(body)),
      });
    }
    await writer.end();
  } finally {
    await file.close();
  }
}

function* messages(): Generator<{
  topic: Topic;
  seconds: number;
  sequence: number;
  body: Record<string, unknown>;
}> {
  const random = noise(8421);
  for (let tick = 0; tick < DURATION_S * 100; tick++) {
    const seconds = tick / 100;
    const pose = poseAt(seconds);
    yield {
      topic: '/imu',
      seconds,
      sequence: tick,
      body: {
        ax: Number((pose.acceleration + 0.05 * (random() - 0.5)).toFixed(4)),
        az: Number((9.81 + 0.05 * (random() - 0.5)).toFixed(4)),
      },
    };
    if (tick % 5 === 0)
      yield { topic: '/planner/state', seconds, sequence: tick / 5, body: plan(seconds) };
    if (tick % 10 === 0) {
      const latitude = Number((48.1374 + pose.y / 111_320).toFixed(7));
      const longitude = Number((11.5755 + pose.x / 74_300).toFixed(7));
      yield { topic: '/gps/fix', seconds, sequence: tick / 10, body: { latitude, longitude } };
    }
  }
}

function plan(seconds: number): Record<string, unknown> {
  return {
    speed_mps: Number(poseAt(seconds).speed.toFixed(2)),
    decision: inGlare(seconds) ? 'emergency-brake' : 'keep-lane',
    reason: inGlare(seconds) ? 'camera/front: phantom obstacle, sun at 4 degrees' : 'clear',
  };
}

export interface LogSummary {
  readonly messages: number;
  readonly topics: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** The moments at which the planner braked hard, seconds after the start. */
  readonly brakes: readonly { readonly seconds: number; readonly reason: string }[];
}

/** Reads a log through its index, as any MCAP player does, and says what a person wants to know. */
export async function summariseLog(path: string): Promise<LogSummary> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const reader = await McapIndexedReader.Initialize({
      readable: {
        size: async () => BigInt(size),
        read: async (offset: bigint, length: bigint) => {
          const bytes = new Uint8Array(Number(length));
          await file.read(bytes, 0, bytes.length, Number(offset));
          return bytes;
        },
      },
    });
    const topics: Record<string, number> = {};
    const brakes: { seconds: number; reason: string }[] = [];
    let messages = 0;
    let lastNs = 0n;
    let braking = false;
    for await (const message of reader.readMessages()) {
      const topic = reader.channelsById.get(message.channelId)?.topic ?? '?';
      topics[topic] = (topics[topic] ?? 0) + 1;
      messages++;
      lastNs = message.logTime;
      if (topic !== '/planner/state') continue;
      const state = JSON.parse(Buffer.from(message.data).toString()) as Record<string, string>;
      const brakesNow = state['decision'] === 'emergency-brake';
      if (brakesNow && !braking) {
        brakes.push({ seconds: secondsAfterStart(lastNs), reason: state['reason'] ?? '' });
      }
      braking = brakesNow;
    }
    return { messages, topics, seconds: secondsAfterStart(lastNs), brakes };
  } finally {
    await file.close();
  }
}

function secondsAfterStart(timeNs: bigint): number {
  return Number(timeNs - START_NS) / 1e9;
}
