// lora_*/pytorch_lora_weights.safetensors: read, written again as diffusers writes them, and through kohya's names and back.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdapterModule } from './testing-addon';
import { Adapter, type LinearModule } from '@atelier/engine';
import { Goldens } from './goldens';
import { modulesOf } from './models';
import { difference } from './names';
import type { Subject } from './subject';
import { EXACT } from './table';
import { loraNames, matricesOf } from './weights';

const METADATA = 'lora_adapter_metadata';

export async function adapters(subject: Subject): Promise<void> {
  const { fixtures, table, scratch } = subject;
  const model = await subject.transformer('none');
  for (const name of await fixtures.adapters()) {
    const file = fixtures.adapterFile(name);
    const goldens = await fixtures.goldens(file);
    const adapter = await Adapter.load(fixtures.path(file));
    const modules = modulesOf(adapter);
    const matrices = matricesOf(modules);
    const names = loraNames(goldens, 'transformer');
    table.fact(`lora_${name} modules`, difference(Object.keys(matrices), [...names.keys()]));
    for (const [matrix, full] of names)
      table.tensor(`lora_${name} ${matrix}`, matrices[matrix], goldens.tensor(full), EXACT);
    table.scalars(
      `lora_${name} alpha`,
      Object.values(modules).map(({ alpha }) => alpha),
      Object.values(modules).map(() => fixtures.settings.alpha),
      EXACT,
    );
    await adapter.validate(model);

    const again = join(scratch, `${name}.safetensors`);
    await adapter.save(again, 'diffusers');
    const written = new Goldens(again, await readFile(again));
    table.fact(`lora_${name} written: names`, difference(written.names(), goldens.names()));
    table.fact(`lora_${name} written: metadata`, metadataProblem(written.metadata, goldens.metadata, model.modules));
    for (const tensor of goldens.names())
      if (written.has(tensor))
        table.tensor(`lora_${name} written: ${tensor}`, written.tensor(tensor), goldens.tensor(tensor), EXACT);

    const kohya = join(scratch, `${name}-kohya.safetensors`);
    await adapter.save(kohya, 'kohya');
    const foreign = new Goldens(kohya, await readFile(kohya))
      .names()
      .filter((tensor) => !/^lora_unet_\w+\.(lora_down\.weight|lora_up\.weight|alpha)$/.test(tensor));
    table.fact(`lora_${name} through kohya: names`, foreign.length ? `${foreign[0]} is not one of kohya's` : '');
    const back = modulesOf(await Adapter.load(kohya));
    table.fact(`lora_${name} through kohya: modules`, difference(Object.keys(back), Object.keys(modules)));
    for (const [path, module] of Object.entries(modules))
      if (back[path]) table.values(`lora_${name} through kohya: ${path}`, product(back[path]), product(module), 1e-6);
  }
}

/** (alpha / rank) · B · A: what an adapter adds to a weight, however its scale is split. */
function product({ rank, in: inputs, out, alpha, a, b }: AdapterModule): Float64Array {
  const result = new Float64Array(out * inputs);
  for (let o = 0; o < out; o++) {
    for (let r = 0; r < rank; r++) {
      const factor = (alpha / rank) * b[o * rank + r]!;
      for (let i = 0; i < inputs; i++) result[o * inputs + i]! += factor * a[r * inputs + i]!;
    }
  }
  return result;
}

/** Every setting we write must be one that the reference writes, with its value; target_modules must name the same linears. */
function metadataProblem(
  written: Record<string, string>,
  expected: Record<string, string>,
  linears: readonly LinearModule[],
): string {
  if (written.format !== expected.format) return `format is ${written.format} instead of ${expected.format}`;
  if (!written[METADATA] || !expected[METADATA])
    return written[METADATA] === expected[METADATA] ? '' : `${METADATA} is in one file only`;
  const ours = JSON.parse(written[METADATA]) as Record<string, unknown>;
  const theirs = JSON.parse(expected[METADATA]) as Record<string, unknown>;
  for (const [key, value] of Object.entries(ours)) {
    if (!(key in theirs)) return `${key} is unknown to the reference`;
    if (key === 'transformer.target_modules') {
      const differs = difference(named(value as string[], linears), named(theirs[key] as string[], linears));
      if (differs) return `${key}: ${differs}`;
    } else if (JSON.stringify(value) !== JSON.stringify(theirs[key])) {
      return `${key} is ${JSON.stringify(value)} instead of ${JSON.stringify(theirs[key])}`;
    }
  }
  return '';
}

function named(targets: string[], linears: readonly LinearModule[]): string[] {
  return linears
    .map(({ path }) => path)
    .filter((path) => targets.some((target) => path === target || path.endsWith(`.${target}`)));
}
