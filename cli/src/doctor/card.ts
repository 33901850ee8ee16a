// Whether the card of this machine is the one that computes: the question behind most slow runs.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Engine } from '@atelier/engine';
import { cardPresence, describedDevice, proofNote, proveCard } from '@atelier/models';
import type { Finding } from './finding';

const run = promisify(execFile);

/** What opening the device came to; shared by the checks of engine and card. */
export interface OpenedEngine {
  /** Of ATELIER_COMPUTE. */
  compute: string;
  /** The engine's words for what computes; undefined where nothing could be opened. */
  description?: string;
  /** Why not. */
  error?: string;
}

/** Opens what the services would, for a moment: only that shows whether memory is there and code for this card. */
export async function openEngine(compute = process.env.ATELIER_COMPUTE || 'auto'): Promise<OpenedEngine> {
  try {
    const engine = await Engine.open({ device: compute });
    const { description } = engine;
    await engine.close();
    return { compute, description };
  } catch (error) {
    return { compute, error: (error as Error).message };
  }
}

export function checkEngine({ compute, description, error }: OpenedEngine): Finding {
  if (description !== undefined) {
    const { device } = describedDevice(description); // why no card is used, the check of the card says
    return { state: 'ok', text: `${device} (${Engine.outlook(compute).build} in this build)` };
  }
  const remedy = compute === 'auto' ? '' : '. Or set ATELIER_COMPUTE to auto or cpu, to compute on the CPU';
  return { state: 'fail', text: `ATELIER_COMPUTE=${compute}: ${error}${remedy}` };
}

/** Fails where a card is there, nobody said that it is to be left alone, and the engine cannot use it. */
export async function checkCard({ compute, description, error }: OpenedEngine): Promise<Finding> {
  const card = (await toldByTool()) ?? cardPresence() ?? Engine.cards()[0]?.name;
  if (card === undefined)
    return compute.startsWith('cuda')
      ? { state: 'fail', text: `no NVIDIA card found, and ATELIER_COMPUTE=${compute} asks for one` }
      : { state: 'warn', text: 'no NVIDIA GPU found: everything is computed on the CPU' };
  if (description?.startsWith('cuda: ')) return { state: 'ok', text: `${card}: used` };
  if (compute === 'cpu') return { state: 'ok', text: `${card}: left alone, as ATELIER_COMPUTE=cpu says` };
  const why = error ?? (describedDevice(description ?? '').refusal || Engine.outlook('auto').refusal);
  const text = `${card} is there, and the engine cannot use it: ${why}. Until then everything is computed on the CPU`;
  return { state: 'fail', text: `${text}; ATELIER_COMPUTE=cpu says that this is meant` };
}

/** The card's kernels beside the CPU's, checked now. */
export async function checkKernels(compute: string, folder: string): Promise<Finding> {
  const engine = await Engine.open({ device: compute });
  try {
    const proof = await proveCard(engine, compute, folder, { again: true });
    if (!proof) return { state: 'warn', text: 'the CPU computes: there is no card to check' };
    const note = proofNote(proof);
    if (note) return { state: 'warn', text: note };
    const worst = Math.max(...proof.findings.map(({ error, allowed }) => error / allowed));
    const text = `${proof.findings.length} families of kernels compute what the CPU does`;
    return {
      state: 'ok',
      text: `${text}, within ${(100 * worst).toPrecision(2)} % of what is allowed (${proof.file})`,
    };
  } finally {
    await engine.close();
  }
}

/** nvidia-smi's words, with memory and driver; undefined where it is not there or finds nothing. */
async function toldByTool(): Promise<string | undefined> {
  try {
    const fields = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
    const { stdout } = await run('nvidia-smi', fields, { timeout: 20_000 });
    return stdout.trim().replaceAll('\n', '; ') || undefined;
  } catch {
    return undefined;
  }
}
