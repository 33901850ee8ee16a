// bnb_linear4bit.safetensors: a linear that bitsandbytes quantised, read from the file by the checkpoint loader.
import { prequantizedLinear } from './pieces';
import type { Subject } from './subject';
import { FLOAT } from './table';

const FILE = 'bnb_linear4bit.safetensors';

export async function linear({ fixtures, engine, table }: Subject): Promise<void> {
  const goldens = await fixtures.goldens(FILE);
  const x = goldens.tensor('x');
  for (const prefix of goldens.names(/^(.+)\.weight\.quant_state\.bitsandbytes__\w+$/)) {
    for (const name of goldens.names(/^(.+)$/)) if (name.startsWith(`${prefix}.`)) goldens.tensor(name); // the engine reads these itself
    table.tensor(
      `y of ${prefix}`,
      await prequantizedLinear(engine, fixtures.path(FILE), prefix, x),
      goldens.tensor('y'),
      FLOAT,
    );
  }
}
