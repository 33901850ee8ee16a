import { encodeTensors } from '@atelier/checkpoint';

/** The bytes of a small LoRA in diffusers' keys: one module, constant values. */
export function adapterBytes({
  rank = 2,
  metadata = {},
}: { rank?: number; metadata?: Record<string, string> } = {}): Uint8Array {
  const path = 'transformer.transformer_blocks.0.attn.to_q';
  return encodeTensors(
    {
      [`${path}.lora_A.weight`]: { shape: [rank, 16], data: new Float32Array(rank * 16).fill(0.5) },
      [`${path}.lora_B.weight`]: { shape: [16, rank], data: new Float32Array(16 * rank).fill(0.25) },
    },
    metadata,
  );
}
