// Draws before, fine-tunes, draws after, and lays both side by side: through the real mesh, with the command line's own parts.
// node tools/demo.mjs [--model FOLDER] [--out FOLDER]
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join, relative, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { comparison } from './demo/comparison.mjs';
import { lossCurve } from './demo/loss-curve.mjs';

// What is shown with which checkpoint: the first whose folder is there.
const SHOWS = [
  {
    model: 'models/nano',
    pictures: 'examples/nano-art-nouveau',
    size: { width: 128, height: 128 },
    textTokens: 16, // what it was trained with
    drawing: { steps: 20, guidance: 3.5 },
    training: {
      rank: 16,
      learning_rate: 1e-3,
      lr_schedule: 'cosine',
      total_steps: 900,
      accumulation: 2,
      quant: 'nf4',
      seed: 7,
      targets: [
        'to_q',
        'to_k',
        'to_v',
        'to_out.0',
        'add_q_proj',
        'add_k_proj',
        'add_v_proj',
        'to_add_out',
        'ff.net.0.proj',
        'ff.net.2',
        'proj_mlp',
        'proj_out',
      ],
    },
    // Combinations that the base has not been shown; the prompts do not say the style.
    prompts: [
      ['a red mushroom in the snow on a clear day', 4],
      ['a yellow tower in a meadow on a clear day', 5],
      ['an orange tent in a meadow on a clear day', 7],
      ['a green tree by the sea on a clear day', 8],
    ],
  },
  {
    // Random weights: its pictures are noise before and after, and show that everything works, not what it is for.
    model: 'native/test/goldens/tiny-dev/model',
    pictures: 'examples/art-nouveau',
    size: { width: 96, height: 128 },
    textTokens: 32,
    drawing: { steps: 8, guidance: 3.5 },
    training: { rank: 8, learning_rate: 2e-3, total_steps: 60, accumulation: 1, quant: 'nf4', seed: 7 },
    prompts: [
      ['a lighthouse on a hill at dawn, art nouveau style', 11],
      ['a heron by a pond under the moon, art nouveau style', 5],
    ],
  },
];

const root = join(import.meta.dirname, '..');
const { values: given } = parseArgs({ options: { model: { type: 'string' }, out: { type: 'string' } } });
const out = resolve(given.out ?? join(root, 'demo-output'));
const require = createRequire(join(root, 'cli', 'dist', 'main.js'));
const { AtelierClient, trainOptions } = require('@atelier/client');
const { Output, bytes, duration } = require('./output.js');
const { Interrupt } = require('./interrupt.js');
const { readSettings } = require('./settings.js');
const { LocalMesh } = require('./local/local-mesh.js');
const { endLeftover } = require('./local/nats.js');
const { localFiles } = require('./finetune/files.js');
const { upload } = require('./finetune/upload.js');
const { finished, followRun } = require('./finetune/follow.js');
const { downloadAdapter } = require('./adapter-file.js');

const show = SHOWS.find(({ model }) =>
  given.model === undefined ? existsSync(join(root, model, 'model_index.json')) : model === given.model,
);
if (!show)
  throw new Error(`--model ${given.model} is not in the table: one of ${SHOWS.map(({ model }) => model).join(', ')}`);
const name = basename(show.pictures);
const said = new Output(false);
const interrupt = new Interrupt();
const settings = {
  ...readSettings({ data: join(out, 'data'), model: join(root, show.model) }),
  natsUrl: undefined,
  natsPort: 0,
  httpPort: 0,
  healthPort: undefined,
  textTokens: show.textTokens,
};

async function demo() {
  const born = Date.now();
  await endLeftover(join(settings.data, 'nats')); // of a demo that was killed
  await rm(settings.data, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  for (const file of await readdir(out)) if (/^((before|after)-.*|loss)\.png$/.test(file)) await rm(join(out, file)); // of an earlier demo
  said.line(`demo       checkpoint ${show.model}, pictures ${show.pictures}, everything on this machine's CPU`);
  interrupt.ownProcesses();
  const mesh = await LocalMesh.start({
    settings,
    say: (text) => said.note(text),
    onLog: ({ service, text, important }) => important && said.note(`${service}: ${text}`),
    signal: interrupt.signal,
  });
  interrupt.beforeKill(() => mesh.kill());
  try {
    const client = await AtelierClient.connect(mesh.natsUrl, 'demo', mesh.access('cli'));
    try {
      await job(client);
    } finally {
      await client.close();
    }
  } finally {
    await mesh.stop();
    await rm(settings.data, { recursive: true, force: true });
  }
  said.line(`everything is stopped, after ${duration((Date.now() - born) / 1000)}`);
}

async function job(client) {
  said.line(`before     drawing ${show.prompts.length} prompts without an adapter`);
  const before = await drawAll(client, 'before', []);
  const files = await localFiles([join(root, show.pictures)]);
  const dataset = await upload({ settings, out: said, interrupt }, client, { name, ...show.size }, files);
  const run = await client.startFinetune({ dataset: dataset.id, name, options: trainOptions(show.training) });
  void interrupt.arrival().then(() => client.cancelRun(run.id));
  const { adapter } = finished(await followRun(client, said, run.id, { uploaded: dataset.id }));
  said.line('after      drawing the same prompts from the same seeds with the adapter');
  const after = await drawAll(client, 'after', [{ name: adapter, weight: 1 }]);
  const pictures = (await client.dataset(dataset.id)).samples;
  const rows = show.prompts.map(([prompt, seed], i) => ({ prompt, seed, before: before[i], after: after[i] }));
  const title = `${basename(show.model) === 'model' ? 'random weights' : basename(show.model)}: ${show.training.total_steps} steps on ${pictures} pictures of ${name}`;
  await keep(
    'before-after.png',
    await comparison(rows, { title, columns: ['before', 'after'], side: 384 }),
    'the pictures side by side',
  );
  await keep(
    'loss.png',
    await lossCurve(
      await lossesOf(client, run.id),
      `loss of adapter ${adapter}, rank ${show.training.rank}, learning rate ${show.training.learning_rate}`,
    ),
    'the loss, step by step',
  );
  const file = join(out, `${adapter}.safetensors`);
  await downloadAdapter(client, adapter, file, 'diffusers');
  said.line(
    `adapter    ${shown(file)}: rank ${show.training.rank}, ${bytes(Number((await client.adapter(adapter)).size))}, in diffusers' format`,
  );
}

async function drawAll(client, label, adapters) {
  const pictures = [];
  for (const [index, [prompt, seed]] of show.prompts.entries()) {
    const { id } = await client.generate({ prompt, seed, adapters, ...show.size, ...show.drawing });
    const { images } = await client.finishedGeneration(id, { signal: interrupt.signal });
    const picture = await buffer(await client.image(images[0]));
    await writeFile(join(out, `${label}-${index + 1}.png`), picture);
    pictures.push(picture);
  }
  return pictures;
}

/** From the events, which are kept: whoever comes late reads the same. */
async function lossesOf(client, runId) {
  const losses = new Map();
  for await (const { event } of client.runEvents(runId))
    if (event.runStep) losses.set(event.runStep.step, event.runStep.loss);
  return [...losses].map(([step, loss]) => ({ step, loss }));
}

async function keep(file, content, what) {
  await writeFile(join(out, file), content);
  said.line(`${'picture'.padEnd(10)} ${shown(join(out, file))}: ${what}`);
}

const shown = (path) => relative(process.cwd(), path);

try {
  await demo();
} catch (error) {
  process.exitCode = said.error(error);
} finally {
  interrupt.dispose();
}
