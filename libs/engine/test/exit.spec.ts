// A process that ends while the engine works must end cleanly: its own exit code, no signal.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { component } from './tiny';

const ENGINE = join(__dirname, '..', 'dist', 'index.js');

// In flight when it ends: a micro-step that takes a second, one that waits for it, a load, and a listener for progress.
const work = `
  const { Engine } = require(${JSON.stringify(ENGINE)});
  const run = async () => {
    const engine = await Engine.open({ device: 'cpu' });
    const model = await engine.loadTransformer(${JSON.stringify(component('transformer'))}, { quant: 'nf4' });
    const shape = { gridH: 40, gridW: 40, textTokens: 64 };
    const trainer = await model.createTrainer({ accumulation: 2 }, [shape]);
    const latents = new Float32Array(16 * 4 * 40 * 40);
    const sample = { mean: latents, logvar: latents, shape, sampleId: 0, promptEmbeds: new Float32Array(64 * model.dims.jointDim), pooled: new Float32Array(model.dims.pooledDim) };
    const failed = (error) => console.log('settled', error.code);
    trainer.microStep(sample, { onProgress: () => undefined }).catch(failed);
    trainer.microStep(sample).catch(failed);
    engine.loadVae(${JSON.stringify(component('vae'))}).catch(failed);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { engine, model, trainer };
  };
`;

function child(script: string): Promise<{ code: number | null; signal: string | null; output: string }> {
  return new Promise((resolve) => {
    const started = spawn(process.execPath, ['-e', work + script], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    started.on('close', (code, signal) => resolve({ code, signal, output }));
  });
}

test.each([
  ['process.exit', 'run().then(() => process.exit(3));', 3],
  ['an error nobody catches', "run().then(() => { throw new Error('on purpose'); });", 1],
  [
    'process.exit in a progress report',
    `run().then(({ engine }) => engine.loadTransformer(${JSON.stringify(component('transformer'))}, { quant: 'nf4', onProgress: () => process.exit(5) }));`,
    5,
  ],
  [
    'a worker thread that is terminated',
    `
    const { Worker, isMainThread } = require('node:worker_threads');
    const worker = new Worker(${JSON.stringify(work)} + "run().then(() => require('node:worker_threads').parentPort.postMessage('busy'));", { eval: true });
    worker.on('message', () => worker.terminate().then(() => process.exit(7)));`,
    7,
  ],
])('%s', async (_, script, code) => {
  const ended = await child(script);
  expect({ ...ended, output: ended.output.includes('on purpose') ? '' : ended.output }).toEqual({
    signal: null,
    code,
    output: '',
  });
});

test('work that is let finish keeps the process alive until then', async () => {
  const { code, output } = await child("run().then(({ engine }) => engine.close()).then(() => console.log('closed'));");
  expect(output).toBe('closed\n');
  expect(code).toBe(0);
});
