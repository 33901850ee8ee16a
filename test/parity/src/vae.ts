// vae.safetensors: pictures to posteriors, their means to pictures.
import { row } from './goldens';
import type { Subject } from './subject';
import { FLOAT } from './table';

export async function vae({ fixtures, engine, table }: Subject): Promise<void> {
  const goldens = await fixtures.goldens('vae.safetensors');
  const model = await engine.loadVae(fixtures.checkpoint.component('vae'));
  table.values(
    'scaling and shift',
    [model.scalingFactor, model.shiftFactor],
    [fixtures.checkpoint.vaeConfig.scalingFactor, fixtures.checkpoint.vaeConfig.shiftFactor],
    1e-7,
  );
  for (const which of goldens.names(/^image_(.+)$/)) {
    const images = goldens.tensor(`image_${which}`);
    for (let i = 0; i < images.shape[0]!; i++) {
      const name = images.shape[0]! > 1 ? `${which} ${i}` : which;
      const mean = goldens.row(`mean_${which}`, i);
      const posterior = await model.encode(row(images, i));
      table.tensor(`mean_${name}`, posterior.mean, mean, FLOAT);
      table.tensor(`logvar_${name}`, posterior.logvar, goldens.row(`logvar_${which}`, i), FLOAT);
      table.tensor(`decoded_${name}`, await model.decode(mean), goldens.row(`decoded_${which}`, i), FLOAT);
    }
  }
  await model.dispose();
}
