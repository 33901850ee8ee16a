// LoRA weights as goldens name them: `<group>.<module path>.lora_A.default.weight`, peft's names.
import type { Tensor } from '@atelier/checkpoint';
import type { AdapterModule } from './testing-addon';
import type { Adapter } from '@atelier/engine';
import { createAdapter } from './models';
import type { Goldens } from './goldens';

/** `<module path>.lora_A` and `.lora_B` of a group ("weight", "fp32_grad", "adamw_end") to their tensors' full names. */
export function loraNames(goldens: Goldens, group: string): Map<string, string> {
  const pattern = new RegExp(String.raw`^(${group}\.(.+)\.lora_([AB])(?:\.default)?\.weight)$`);
  return new Map(
    goldens.names(pattern).map((name) => {
      const [, , path, half] = pattern.exec(name)!;
      return [`${path}.lora_${half}`, name];
    }),
  );
}

export function loraPaths(goldens: Goldens, group: string): string[] {
  return [...loraNames(goldens, group).keys()].flatMap((name) =>
    name.endsWith('.lora_A') ? [name.slice(0, -'.lora_A'.length)] : [],
  );
}

/** A group of goldens as an adapter. */
export function loraAdapter(goldens: Goldens, group: string, alpha: number): Adapter {
  const names = loraNames(goldens, group);
  const modules: Record<string, AdapterModule> = {};
  for (const path of loraPaths(goldens, group)) {
    const a = goldens.tensor(names.get(`${path}.lora_A`)!);
    const b = goldens.tensor(names.get(`${path}.lora_B`)!);
    modules[path] = { rank: a.shape[0]!, in: a.shape[1]!, out: b.shape[0]!, alpha, a: a.data, b: b.data };
  }
  return createAdapter(modules);
}

/** `<module path>.lora_A` (rank, in) and `.lora_B` (out, rank) of an adapter. */
export function matricesOf(modules: Record<string, AdapterModule>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(modules).flatMap(([path, { rank, in: inputs, out, a, b }]) => [
      [`${path}.lora_A`, { shape: [rank, inputs], data: a }],
      [`${path}.lora_B`, { shape: [out, rank], data: b }],
    ]),
  );
}
