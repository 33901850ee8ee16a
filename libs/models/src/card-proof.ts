// A card proves itself before it is trusted: its kernels are tried beside the CPU's once for each card, driver, cuBLASLt and build of the
// engine, and what came of it is kept in the data folder.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AtelierError } from '@atelier/contracts';
import { Engine, type Call, type KernelFinding } from '@atelier/engine';
import { z } from 'zod';

/** A card with less is a test's. */
const REAL_CARD_BYTES = 2 ** 31;

const number = z.number().nullable(); // JSON has no Infinity: null
const kept = z.object({
  identity: z.string(),
  checkedAt: z.string(),
  findings: z.array(
    z.object({
      family: z.string(),
      error: number,
      allowed: z.number(),
      instead: z.string(),
      errorInstead: number,
      agrees: z.boolean(),
      usable: z.boolean(),
    }),
  ),
});

export interface CardProof {
  /** Where it is kept. */
  file: string;
  identity: string;
  checkedAt: string;
  findings: KernelFinding[];
  /** Whether it was checked now. */
  fresh: boolean;
}

/**
 * Checks the card that `engine` has open, unless that was done before; kernels that disagree are not used from here on.
 *
 * @param folder where proofs are kept
 * @param options.again checks even if that was done before
 * @returns undefined on the CPU
 * @throws AtelierError UNIMPLEMENTED, with the figures, where kernels disagree that nothing can replace
 */
export async function proveCard(
  engine: Engine,
  compute: string,
  folder: string,
  { again = false, ...call }: { again?: boolean } & Call = {},
): Promise<CardProof | undefined> {
  if (!engine.description.startsWith('cuda: ')) return undefined;
  const identity = Engine.cardIdentity(compute);
  const file = fileOf(folder, identity);
  let proof = again ? undefined : await read(file, identity);
  if (proof) engine.avoidKernels(proof.findings.filter(isReplaced).map(({ family }) => family));
  else {
    const real = Engine.outlook(compute).bytes >= REAL_CARD_BYTES;
    const findings = await engine.checkKernels({ ...call, real });
    proof = { file, identity, checkedAt: new Date().toISOString(), findings, fresh: true };
    await write(folder, proof);
  }
  const refusal = refusalOf(proof);
  if (refusal) throw new AtelierError('UNIMPLEMENTED', refusal);
  return proof;
}

/** Why the card that `compute` names was refused before, from what is kept of it; undefined where it was not. */
export async function cardRefusal(compute: string, folder: string): Promise<string | undefined> {
  const identity = Engine.cardIdentity(compute);
  const proof = await read(fileOf(folder, identity), identity);
  return proof && refusalOf(proof);
}

function refusalOf(proof: CardProof): string | undefined {
  const refused = proof.findings.filter(({ usable }) => !usable);
  if (refused.length === 0) return undefined;
  return `this card does not compute what the CPU does, and nothing can be used instead: ${refused.map(inWords).join('; ')}. ${report(proof)}`;
}

const fileOf = (folder: string, identity: string): string =>
  join(folder, `${createHash('sha256').update(identity).digest('hex').slice(0, 16)}.json`);

const isReplaced = ({ agrees, usable }: KernelFinding): boolean => !agrees && usable;

/** What a person should know of it; empty where everything agrees. */
export function proofNote(proof: CardProof): string {
  const replaced = proof.findings.filter(isReplaced);
  if (replaced.length === 0) return '';
  const what = replaced.map((finding) => `${inWords(finding)}, ${finding.instead} takes its place`).join('; ');
  return `this card does not compute all that the CPU does: ${what}. ${report(proof)}`;
}

function inWords({ family, error, allowed }: KernelFinding): string {
  const off = Number.isFinite(error) ? `${percent(error)} of the largest value` : 'what is no number';
  return `${family} is off by ${off} (${percent(allowed)} is allowed)`;
}

const percent = (share: number): string => `${(100 * share).toPrecision(2)} %`;

const report = ({ file }: CardProof): string => `Please open an issue with ${file}, which has all figures`;

/** Undefined where there is none; one that cannot be read counts as none: it is made again. */
async function read(file: string, identity: string): Promise<CardProof | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const { findings, ...rest } = kept.parse(JSON.parse(text));
    if (rest.identity !== identity) return undefined;
    const figures = findings.map((finding) => ({
      ...finding,
      error: finding.error ?? Infinity,
      errorInstead: finding.errorInstead ?? Infinity,
    }));
    return { ...rest, findings: figures, file, fresh: false };
  } catch {
    return undefined;
  }
}

/** Under its name whole or not at all; two who check at once leave the same. */
async function write(folder: string, { file, identity, checkedAt, findings }: CardProof): Promise<void> {
  await mkdir(folder, { recursive: true });
  const part = `${file}.${randomUUID()}.part`;
  try {
    await writeFile(part, `${JSON.stringify({ identity, checkedAt, findings }, null, 2)}\n`, { flush: true });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
