// What the death or the standstill of each of three nats-servers costs a run that trains and the drawings beside it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AtelierClient } from '@atelier/client';
import { Mesh, provisionMesh } from '@atelier/mesh';
import { startServiceProcess, startTestCluster, syntheticPictures, tinyCheckpoint, waitFor } from '@atelier/testing';
import type { ServiceProcess, TestCluster } from '@atelier/testing';
import { Heard } from './heard';

const TRAINING = { totalSteps: 600, accumulation: 2, rank: 2, seed: 7, learningRate: 1e-3, checkpointEvery: 25 };
const DRAWING = { prompt: 'a tomato circle', width: 64, height: 64, steps: 20, seed: 5 };
/** Step of the run at which a node is struck. */
const MIDDLE = 60;
/** Seconds for which a node is away. */
const AWAY_S = 12;
/** What a client waits before it asks again. */
const AGAIN_MS = 200;
const SERVICES = ['ingest', 'latents', 'prompts', 'trainer', 'inference'];

export interface NodeCost {
  what: string;
  /** Longest time between two steps of the run that were told, seconds. */
  trainingStill: number;
  slowestDrawing: number;
  drawings: number;
  /** Tries to draw that were answered with an error. */
  refused: number;
  /** Adapter and pictures have the bytes that they have undisturbed. */
  same: boolean;
}

interface Job extends Omit<NodeCost, 'what' | 'same'> {
  adapter: Buffer;
  pictures: Buffer[];
}

export async function clusterStops(tell: (cost: NodeCost) => void): Promise<NodeCost[]> {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-nodes-'));
  const services: ServiceProcess[] = [];
  const cluster = await startTestCluster();
  let mesh: Mesh | undefined;
  try {
    mesh = await connected(cluster);
    for (const name of SERVICES) services.push(await startServiceProcess(name, environment(cluster, folder)));
    const client = new AtelierClient(mesh);
    await upload(client, join(folder, 'pictures'));
    return await each(cluster, client, tell);
  } finally {
    await Promise.all(services.map((service) => service.stop()));
    await mesh?.close();
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function each(cluster: TestCluster, client: AtelierClient, tell: (cost: NodeCost) => void): Promise<NodeCost[]> {
  const costs: NodeCost[] = [];
  const note = (what: string, job: Job, same: boolean): void => {
    const { trainingStill, slowestDrawing, drawings, refused } = job;
    const cost = { what, trainingStill, slowestDrawing, drawings, refused, same };
    costs.push(cost);
    tell(cost);
  };
  const undisturbed = await job(client, 'undisturbed', () => Promise.resolve());
  note('none', undisturbed, true);
  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    for (const index of [0, 1, 2]) {
      const what = `${index + 1}: ${signal}, ${AWAY_S} s away`;
      const done = await job(client, `${signal.toLowerCase()}-${index}`, () => strike(cluster, index, signal));
      const picture = undisturbed.pictures[0]!;
      const same = done.adapter.equals(undisturbed.adapter) && done.pictures.every((each) => each.equals(picture));
      note(what, done, same);
    }
  }
  return costs;
}

async function strike(cluster: TestCluster, index: number, signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
  if (signal === 'SIGKILL') await cluster.kill(index);
  else cluster.signal(index, signal);
  await sleep(AWAY_S * 1000);
  if (signal === 'SIGKILL') cluster.startAgain(index);
  else cluster.signal(index, 'SIGCONT');
}

/** A run from its start to its adapter, and one drawing after another beside it until both it and the disturbance are over. */
async function job(client: AtelierClient, name: string, disturb: () => Promise<void>): Promise<Job> {
  const run = await client.startFinetune({ dataset: 'pictures', name, ...TRAINING });
  const heard = new Heard(client.runEvents(run.id));
  await heard.reached(MIDDLE);
  if (heard.isOver) throw new Error(`${name}: it was over before it was disturbed, it needs more steps`);
  let over = false;
  const disturbed = disturb();
  const ended = Promise.all([disturbed, heard.over()]).finally(() => (over = true));
  const times: number[] = [];
  const pictures: Buffer[] = [];
  let refused = 0;
  let asked = Date.now();
  while (!over) {
    try {
      pictures.push(await draw(client));
      times.push((Date.now() - asked) / 1000);
      asked = Date.now();
    } catch (error) {
      // Asked again, as a client does; the time counts from the first asking.
      if (refused++ === 0) console.error(`${name}: refused: ${error instanceof Error ? error.message : String(error)}`);
      await sleep(AGAIN_MS);
    }
  }
  times.push((Date.now() - asked) / 1000);
  await ended;
  const adapter = await bytes(await client.adapterFile(name));
  const slowestDrawing = Math.max(...times);
  return {
    adapter,
    pictures,
    drawings: pictures.length,
    refused,
    slowestDrawing,
    trainingStill: heard.longestGap / 1000,
  };
}

async function draw(client: AtelierClient): Promise<Buffer> {
  const { id } = await client.generate(DRAWING);
  const { images } = await client.finishedGeneration(id);
  return bytes(await client.image(images[0]!));
}

async function bytes(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function upload(client: AtelierClient, folder: string): Promise<void> {
  await syntheticPictures(folder, 8);
  const files = readdirSync(folder).map((name) => ({ name, data: readFileSync(join(folder, name)) }));
  await client.createDataset({ name: 'pictures', width: 64, height: 64, files });
}

async function connected(cluster: TestCluster): Promise<Mesh> {
  const mesh = await waitFor(
    'the cluster',
    () => Mesh.connect({ url: cluster.url, name: 'stops' }).catch(() => undefined),
    30_000,
  );
  await waitFor('its leader', () => mesh.jsm.getAccountInfo().catch(() => undefined), 30_000);
  await provisionMesh(mesh, { replicas: 3 });
  return mesh;
}

function environment(cluster: TestCluster, folder: string): Record<string, string> {
  return {
    ATELIER_NATS_URL: cluster.url,
    ATELIER_NATS_REPLICAS: '3',
    ATELIER_MODEL: tinyCheckpoint(),
    ATELIER_DATA: folder,
    ATELIER_TEXT_TOKENS: '32',
    ATELIER_THREADS: '1',
    ATELIER_COMPUTE: 'cpu',
  };
}
