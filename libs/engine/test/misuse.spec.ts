// Every call at every wrong moment and with every kind of wrong value: a clear error, no crash, and the object still works.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Adapter,
  type Call,
  type ClipText,
  Engine,
  Transformer,
  inspectCheckpoint,
  type Sampler,
  type T5Text,
  type Trainer,
  type Vae,
} from '@atelier/engine';
import {
  createAdapter,
  forward,
  gradientsOf,
  lastPrediction,
  modulesOf,
  randomTransformer,
  setAdapter,
} from '../../../test/parity/src/models';
import { Optimizer, prequantizedLinear } from '../../../test/parity/src/pieces';
import { useTestingAddon } from '../../../test/parity/src/testing-addon';
import { ADAPTER, component, forwardInput, LORA, request, sample, SHAPE, tensor, TINY, values } from './tiny';

useTestingAddon();

let engine: Engine;
let vae: Vae;
let clip: ClipText;
let t5: T5Text;
let transformer: Transformer;
let trainer: Trainer;
let sampler: Sampler;
let adapter: Adapter;
let optimizer: Optimizer;
let state: Uint8Array;
let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'atelier-misuse-'));
  engine = await Engine.open({ device: 'cpu', threads: 1 });
  vae = await engine.loadVae(component('vae'));
  clip = await engine.loadClip(component('text_encoder'));
  t5 = await engine.loadT5(component('text_encoder_2'));
  transformer = await engine.loadTransformer(component('transformer'), { quant: 'nf4' });
  trainer = await transformer.createTrainer({ ...LORA, accumulation: 2 }, [SHAPE]);
  state = await trainer.saveState();
  adapter = await Adapter.load(ADAPTER);
  sampler = await transformer.createSampler([{ adapter, weight: 1 }]);
  optimizer = Optimizer.create('adamw', 3, { lr: 1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0 });
});

afterEach(async () => {
  await engine.close();
  await rm(scratch, { recursive: true, force: true });
});

const ids = new Int32Array(77).fill(5);

// Each with arguments that are right, so that only the moment is wrong.
const calls: Record<string, (call?: Call) => Promise<unknown>> = {
  'engine.loadVae': (call) => engine.loadVae(component('vae'), call),
  'engine.loadClip': (call) => engine.loadClip(component('text_encoder'), call),
  'engine.loadT5': (call) => engine.loadT5(component('text_encoder_2'), call),
  'engine.loadTransformer': (call) => engine.loadTransformer(component('transformer'), { quant: 'none', ...call }),
  'engine.randomTransformer': (call) => randomTransformer(engine, transformer.dims, { quant: 'nf4', seed: 1, ...call }),
  'engine.prequantizedLinear': (call) =>
    prequantizedLinear(engine, join(TINY, 'bnb_linear4bit.safetensors'), 'linear', tensor(2, 128), call),
  'vae.encode': (call) => vae.encode(tensor(3, 16, 16), call),
  'vae.decode': (call) => vae.decode(tensor(16, 2, 2), call),
  'vae.decodePacked': (call) => vae.decodePacked(tensor(1, 64), 16, 16, call),
  'clip.encode': (call) => clip.encode(ids, call),
  't5.encode': (call) => t5.encode([ids], call),
  'transformer.forward': (call) => forward(transformer, forwardInput(), call),
  'transformer.planTraining': (call) => transformer.planTraining(LORA, [SHAPE], call),
  'transformer.createTrainer': (call) => transformer.createTrainer(LORA, [SHAPE], call),
  'transformer.createSampler': (call) => transformer.createSampler([{ adapter, weight: 1 }], { fused: true }, call),
  'trainer.microStep': (call) => trainer.microStep(sample(), call),
  'trainer.optimizerStep': (call) => trainer.optimizerStep(call),
  'trainer.gradients': (call) => gradientsOf(trainer, call),
  'trainer.lastPrediction': (call) => lastPrediction(trainer, call),
  'trainer.adapter': (call) => trainer.adapter(call),
  'trainer.setAdapter': (call) => setAdapter(trainer, adapter, call),
  'trainer.saveState': (call) => trainer.saveState(call),
  'trainer.loadState': (call) => trainer.loadState(state, call),
  'sampler.plan': (call) => sampler.plan(request(), call),
  'sampler.generate': (call) => sampler.generate(request(), call),
  'adapter.save': (call) => adapter.save(join(scratch, 'diffusers.safetensors'), 'diffusers', call),
  'adapter.toBytes': (call) => adapter.toBytes('kohya', {}, call),
  'adapter.validate': (call) => adapter.validate(transformer, call),
};
const names = Object.keys(calls);
const owner = (name: string) =>
  ({ engine, vae, clip, t5, transformer, trainer, sampler, adapter })[name.split('.')[0] as 'engine'];

async function expectError(call: () => unknown, code: string, ...parts: (string | RegExp)[]): Promise<void> {
  const error = await Promise.resolve()
    .then(call)
    .then(
      () => undefined,
      (reason: unknown) => reason as { code: string; name: string; message: string },
    );
  expect(error).toMatchObject({ name: 'EngineError', code });
  for (const part of parts) expect(error!.message).toMatch(part);
}

describe('after dispose', () => {
  test.each(names)('%s', async (name) => {
    await owner(name).dispose();
    await expectError(calls[name]!, 'FAILED_PRECONDITION', /dispose/);
  });

  test('an adapter or optimizer', async () => {
    await adapter.dispose();
    await expectError(() => modulesOf(adapter), 'FAILED_PRECONDITION');
    await expectError(() => setAdapter(trainer, adapter), 'FAILED_PRECONDITION');
    await expectError(() => transformer.createSampler([{ adapter, weight: 1 }]), 'FAILED_PRECONDITION');
    await optimizer.dispose();
    await expectError(() => optimizer.step(values(3), values(3)), 'FAILED_PRECONDITION');
    await expectError(() => optimizer.states(), 'FAILED_PRECONDITION');
  });

  test('what was made from a disposed object goes on, and disposing again is harmless', async () => {
    await Promise.all([adapter.dispose(), transformer.dispose(), transformer.dispose()]);
    await transformer.dispose();
    expect((await sampler.generate(request())).shape).toEqual([6, 64]);
    expect((await trainer.microStep(sample())).loss).toBeGreaterThan(0);
  });
});

describe('cancelled', () => {
  test.each(names)('%s: before it starts', async (name) => {
    await expectError(() => calls[name]!({ signal: AbortSignal.abort() }), 'CANCELLED');
  });

  test.each(names.filter((name) => !name.startsWith('adapter.')))(
    '%s: while it waits behind another call',
    async (name) => {
      const before = randomTransformer(
        engine,
        { ...transformer.dims, heads: 8, numLayers: 4 },
        { quant: 'nf4', seed: 1 },
      );
      const controller = new AbortController();
      const cancelled = expectError(() => calls[name]!({ signal: controller.signal }), 'CANCELLED');
      setImmediate(() => controller.abort());
      await cancelled;
      await (await before).dispose();
    },
  );

  test('half-way through a micro-step: only a training state brings the trainer back', async () => {
    const large = { gridH: 48, gridW: 48, textTokens: 7 };
    const busy = await transformer.createTrainer(LORA, [large]);
    const before = await busy.saveState();
    // A busy machine may run the timer after the step's end, or before its start: either leaves the trainer usable.
    let halfWay = false;
    for (let attempt = 0; !halfWay && attempt < 50; ++attempt) {
      await busy.loadState(before);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 2 + (attempt % 10) * 3);
      const outcome = await busy.microStep(sample(0, large), { signal: controller.signal }).then(
        () => 'finished',
        (error: { code: string }) => error.code,
      );
      halfWay =
        outcome === 'CANCELLED' &&
        (await busy.saveState().then(
          () => false,
          () => true,
        ));
    }
    expect(halfWay).toBe(true);
    await expectError(() => busy.microStep(sample(0, large)), 'INVALID_ARGUMENT', /training state/);
    await busy.loadState(before);
    expect((await busy.microStep(sample(0, large))).loss).toBeGreaterThan(0);
  });
});

describe('while training', () => {
  test('calls wait for the micro-step before them, in the order they were made', async () => {
    const [first, second, step] = await Promise.all([
      trainer.microStep(sample(1)),
      trainer.microStep(sample(2)),
      trainer.optimizerStep(),
    ]);
    const alone = await transformer.createTrainer({ ...LORA, accumulation: 2 }, [SHAPE]);
    expect(await alone.microStep(sample(1))).toEqual(first);
    expect(await alone.microStep(sample(2))).toEqual(second);
    expect(await alone.optimizerStep()).toEqual(step);
  });

  test.each(names.filter((name) => !name.startsWith('engine.')))(
    '%s: answers after it, and its object can be disposed meanwhile',
    async (name) => {
      const training = trainer.microStep(sample());
      const outcome = calls[name]!().then(
        () => 'done',
        (error: { code: string }) => error.code,
      );
      const disposed = owner(name).dispose();
      expect((await training).loss).toBeGreaterThan(0);
      // A micro-step is accumulated, so these two are refused; the others were accepted before the dispose and finish.
      const refused = ['trainer.setAdapter', 'trainer.saveState'].includes(name);
      expect(await outcome).toBe(refused ? 'INVALID_ARGUMENT' : 'done');
      await disposed;
      await expectError(calls[name]!, 'FAILED_PRECONDITION');
    },
  );
});

describe('in the wrong order', () => {
  const moments: [string, string, () => Promise<unknown>][] = [
    ['a prediction before a micro-step', 'micro-step', () => lastPrediction(trainer)],
    ['an optimizer step without a gradient', 'no micro-step', () => trainer.optimizerStep()],
    [
      'more micro-steps than are accumulated',
      'optimizer_step',
      () => Promise.all([1, 2, 3].map((id) => trainer.microStep(sample(id)))),
    ],
    [
      'other weights between micro-steps',
      'micro-steps',
      () => trainer.microStep(sample()).then(() => setAdapter(trainer, adapter)),
    ],
    ['a state between micro-steps', 'accumulated', () => trainer.microStep(sample()).then(() => trainer.saveState())],
  ];
  test.each(moments)('%s', async (_, part, call) => {
    await expectError(call, 'INVALID_ARGUMENT', part);
    await trainer.loadState(state);
    expect((await trainer.microStep(sample())).loss).toBeGreaterThan(0);
  });
});

describe('with another kind of object', () => {
  test('is refused by name', async () => {
    const wrong = (object: unknown) => object as never;
    await expectError(() => setAdapter(trainer, wrong(vae)), 'INVALID_ARGUMENT', /adapter: expected a Adapter/);
    await expectError(
      () => adapter.validate(wrong(adapter)),
      'INVALID_ARGUMENT',
      /transformer: expected a Transformer/,
    );
    await expectError(
      () => transformer.createSampler([{ adapter: wrong(trainer), weight: 1 }]),
      'INVALID_ARGUMENT',
      /adapters\[0\]\.adapter/,
    );
    for (const handle of [undefined, null, 7, 'vae', {}, [], new Proxy({}, {}), vae.handle]) {
      const fake = new Transformer({
        transformer: wrong(handle),
        dims: transformer.dims,
        modules: [],
        weightBytes: 0,
      });
      await expectError(() => forward(fake, forwardInput()), 'INVALID_ARGUMENT', /transformer: expected a Transformer/);
    }
  });
});

describe('with wrong values', () => {
  const nan = (data: Float32Array) => data.map((value, i) => (i === data.length - 1 ? NaN : value));
  const longer = (data: Float32Array) => values(data.length + 1);
  const whole = () => sample(0);
  const wrong: Record<string, [part: RegExp, call: () => unknown]> = {
    'vae.encode: height not divisible by 8': [/multiples of 8/, () => vae.encode(tensor(3, 12, 16))],
    'vae.encode: not three axes': [/channels, height, width/, () => vae.encode(tensor(16, 16))],
    'vae.encode: four channels': [/image/, () => vae.encode(tensor(4, 16, 16))],
    'vae.encode: NaN': [/NaN/, () => vae.encode({ shape: [3, 16, 16], data: nan(values(768)) })],
    'vae.decode: NaN': [/NaN/, () => vae.decode({ shape: [16, 2, 2], data: nan(values(64)) })],
    'vae.decode: empty': [/at least 1/, () => vae.decode(tensor(16, 0, 0))],
    'vae.encodeBytes: a side that is no multiple of 8': [/multiples of 8/, async () => vae.encodeBytes(12, 16)],
    'vae.decodeBytes: a side that is no multiple of 8': [/multiples of 8/, async () => vae.decodeBytes(16, 12)],
    'vae.decodePacked: another size': [/shape/, () => vae.decodePacked(tensor(2, 64), 16, 16)],
    'vae.decodePacked: shape and data differ': [
      /shape holds/,
      () => vae.decodePacked({ shape: [1, 64], data: values(63) }, 16, 16),
    ],
    'clip.encodeBytes: more tokens than it has positions for': [/expected 1 to 77/, async () => clip.encodeBytes(78)],
    't5.encodeBytes: no tokens': [/tokens/, async () => t5.encodeBytes(0)],
    'clip.encode: no ids': [/token ids/, () => clip.encode(new Int32Array())],
    'clip.encode: too many ids': [/expected 1 to 77/, () => clip.encode(new Int32Array(78))],
    'clip.encode: an id outside the vocabulary': [/vocabulary/, () => clip.encode(new Int32Array(77).fill(1 << 20))],
    't5.encode: a negative id': [/caption 1: .*vocabulary/, () => t5.encode([ids, new Int32Array(4).fill(-1)])],
    't5.encode: no ids': [/caption 0: 0 token ids/, () => t5.encode([new Int32Array()])],
    't5.encode: floats': [/captions\[1\]: expected an Int32Array/, () => t5.encode([ids, values(4) as never])],
    't5.encode: one caption, not a list': [/captions: expected a list/, () => t5.encode(ids as never)],
    'forward: latents of another length': [
      /latents has/,
      () => forward(transformer, { ...forwardInput(), latents: longer(forwardInput().latents) }),
    ],
    'forward: prompt of another width': [
      /prompt_embeds/,
      () => forward(transformer, { ...forwardInput(), promptEmbeds: longer(forwardInput().promptEmbeds) }),
    ],
    'forward: pooled of another length': [
      /pooled/,
      () => forward(transformer, { ...forwardInput(), pooled: longer(forwardInput().pooled) }),
    ],
    'forward: NaN': [/NaN/, () => forward(transformer, { ...forwardInput(), pooled: nan(forwardInput().pooled) })],
    'forward: sigma NaN': [/sigma/, () => forward(transformer, { ...forwardInput(), sigma: NaN })],
    'forward: no text': [
      /prompt_embeds/,
      () => forward(transformer, { ...forwardInput(), promptEmbeds: new Float32Array() }),
    ],
    'createTrainer: no shapes': [/shapes/, () => transformer.createTrainer(LORA, [])],
    'createTrainer: a target that matches nothing': [
      /to_nowhere/,
      () => transformer.createTrainer({ ...LORA, targets: ['to_nowhere'] }, [SHAPE]),
    ],
    'createTrainer: rank 0': [/rank/, () => transformer.createTrainer({ ...LORA, rank: 0 }, [SHAPE])],
    'createTrainer: half a rank': [/rank/, () => transformer.createTrainer({ ...LORA, rank: 1.5 }, [SHAPE])],
    'createTrainer: another optimizer': [
      /sgd/,
      () => transformer.createTrainer({ ...LORA, optimizer: 'sgd' as never }, [SHAPE]),
    ],
    'createTrainer: another schedule': [
      /sometimes/,
      () => transformer.createTrainer({ ...LORA, lrSchedule: 'sometimes' as never }, [SHAPE]),
    ],
    'createTrainer: a negative rate': [/rate/, () => transformer.createTrainer({ ...LORA, learningRate: -1 }, [SHAPE])],
    'createTrainer: an option that is none': [
      /options\.learningrate is no training option/,
      () => transformer.createTrainer({ ...LORA, learningrate: 1 } as never, [SHAPE]),
    ],
    'createTrainer: a rank beyond the declared': [
      /rank 1025: .* at most 1024/,
      () => transformer.createTrainer({ ...LORA, rank: 1025 }, [SHAPE]),
    ],
    'createTrainer: a seed beyond 64 bits': [
      /seed/,
      () => transformer.createTrainer({ ...LORA, seed: 2n ** 64n }, [SHAPE]),
    ],
    'planTraining: a picture of no rows': [/gridH/, () => transformer.planTraining(LORA, [{ ...SHAPE, gridH: 0 }])],
    'planTraining: a picture of a million rows': [
      /4096/,
      () => transformer.planTraining(LORA, [{ ...SHAPE, gridH: 1e6 }]),
    ],
    'microStep: a shape the trainer was not made for': [
      /3 by 3/,
      () => trainer.microStep(sample(0, { ...SHAPE, gridW: 3 })),
    ],
    'microStep: mean of another length': [/mean/, () => trainer.microStep({ ...whole(), mean: longer(whole().mean) })],
    'microStep: logvar of another length': [
      /logvar/,
      () => trainer.microStep({ ...whole(), logvar: longer(whole().logvar) }),
    ],
    'microStep: eps of another length': [/eps/, () => trainer.microStep({ ...whole(), eps: values(3) })],
    'microStep: noise with NaN': [/NaN/, () => trainer.microStep({ ...whole(), noise: nan(whole().mean) })],
    'microStep: prompt of another length': [
      /prompt/,
      () => trainer.microStep({ ...whole(), promptEmbeds: longer(whole().promptEmbeds) }),
    ],
    'microStep: pooled with NaN': [/NaN/, () => trainer.microStep({ ...whole(), pooled: nan(whole().pooled) })],
    'microStep: a timestep beyond the last': [/1000/, () => trainer.microStep({ ...whole(), timestepIndex: 1000 })],
    'microStep: an id that is no number': [/sampleId/, () => trainer.microStep({ ...whole(), sampleId: NaN })],
    'setAdapter: of another rank': [/rank/, () => setAdapter(trainer, createAdapter(ranked(LORA.rank + 1)))],
    'generate: a width not divisible by 16': [/16/, () => sampler.generate({ ...request(), width: 40 })],
    'generate: no steps': [/steps/, () => sampler.generate({ ...request(), steps: 0 })],
    'generate: NaN in the prompt': [
      /NaN/,
      () =>
        sampler.generate({
          ...request(),
          promptEmbeds: { ...request().promptEmbeds, data: nan(request().promptEmbeds.data) },
        }),
    ],
    'generate: latents of another length': [
      /latents/,
      () => sampler.generate({ ...request(), latents: tensor(16, 2, 2) }),
    ],
    'generate: a negative seed': [/seed/, () => sampler.generate({ ...request(), seed: -1 })],
    'createSampler: a weight that is no number': [
      /weight/,
      () => transformer.createSampler([{ adapter, weight: NaN }]),
    ],
    'createSampler: an adapter for another model': [
      /made for another model/,
      () => transformer.createSampler([{ adapter: createAdapter(foreign()), weight: 1 }]),
    ],
    'createAdapter: arrays that do not fit': [
      /a/,
      () => createAdapter({ x: { rank: 2, in: 3, out: 3, alpha: 1, a: values(5), b: values(6) } }),
    ],
    'validate: an adapter for another model': [/other\.model/, () => createAdapter(foreign()).validate(transformer)],
    'adapter.toBytes: a format that is none': [
      /format is "peft": expected one of diffusers, kohya/,
      () => adapter.toBytes('peft' as never),
    ],
    'adapter.toBytes: metadata that is no text': [
      /metadata\.made/,
      () => adapter.toBytes('kohya', { made: 1 as never }),
    ],
    'Adapter.fromBytes: text, not bytes': [/bytes: expected/, () => Adapter.fromBytes('a file' as never)],
    'optimizer: gradient of another length': [/grad/, () => optimizer.step(values(3), values(4))],
    'optimizer: NaN': [/NaN/, () => optimizer.step(values(3), nan(values(3)))],
  };
  function ranked(rank: number) {
    return Object.fromEntries(
      Object.entries(modulesOf(adapter)).map(([path, m]) => [
        path,
        { ...m, rank, a: values(rank * m.in), b: values(m.out * rank) },
      ]),
    );
  }
  function foreign() {
    return { 'other.model': { rank: 1, in: 2, out: 2, alpha: 1, a: values(2), b: values(2) } };
  }

  test.each(Object.keys(wrong))('%s', async (name) => {
    const [part, call] = wrong[name]!;
    await expectError(call, 'INVALID_ARGUMENT', part);
    // Nothing is left half-done.
    expect((await trainer.microStep(sample())).loss).toBeGreaterThan(0);
    expect((await forward(transformer, forwardInput())).out!.shape).toEqual([6, 64]);
  });
});

describe('with files that are not there or not what they should be', () => {
  const nowhere = () => join(scratch, 'nowhere');
  test.each<[string, () => Promise<unknown>]>([
    ['loadVae', () => engine.loadVae(nowhere())],
    ['loadClip', () => engine.loadClip(nowhere())],
    ['loadT5', () => engine.loadT5(nowhere())],
    ['loadTransformer', () => engine.loadTransformer(nowhere(), { quant: 'nf4' })],
    ['prequantizedLinear', () => prequantizedLinear(engine, nowhere(), 'linear', tensor(2, 128))],
    ['Adapter.load', () => Adapter.load(nowhere())],
    ['inspectCheckpoint', () => inspectCheckpoint(nowhere())],
  ])('%s: a missing path is named', async (_, call) => {
    await expectError(call, 'NOT_FOUND', /nowhere/);
  });

  test('another component in the folder', async () => {
    await expectError(() => engine.loadVae(component('transformer')), 'UNIMPLEMENTED', /_class_name/);
    await expectError(() => engine.loadT5(component('text_encoder')), 'UNIMPLEMENTED', /model_type/);
  });

  test('a file that is no safetensors file', async () => {
    const file = join(scratch, 'adapter.safetensors');
    await writeFile(file, 'this is not a tensor file at all');
    await expectError(() => Adapter.load(file), 'DATA_LOSS', /adapter\.safetensors/);
    await expectError(() => prequantizedLinear(engine, file, 'linear', tensor(2, 128)), 'DATA_LOSS');
  });

  test('a linear that is missing, or not quantised', async () => {
    const file = join(TINY, 'bnb_linear4bit.safetensors');
    await expectError(() => prequantizedLinear(engine, file, 'other', tensor(2, 128)), 'NOT_FOUND', /other\.weight/);
    await expectError(() => prequantizedLinear(engine, file, 'linear', tensor(2, 64)), 'DATA_LOSS', /shape/);
    await expectError(
      () =>
        prequantizedLinear(engine, ADAPTER, 'transformer.single_transformer_blocks.0.attn.to_k.lora_A', tensor(2, 64)),
      'UNIMPLEMENTED',
    );
  });

  test('a folder to write into that does not exist', async () => {
    await expectError(
      () => adapter.save(join(scratch, 'no', 'such', 'a.safetensors'), 'diffusers'),
      'NOT_FOUND',
      /no\/such/,
    );
  });

  test('a training state of something else', async () => {
    await expectError(() => trainer.loadState(new Uint8Array(5)), 'DATA_LOSS');
    await expectError(() => trainer.loadState(state.slice(0, state.length - 4)), 'DATA_LOSS');
    const other = await transformer.createTrainer({ ...LORA, rank: LORA.rank + 1 }, [SHAPE]);
    await expectError(() => other.loadState(state), 'INVALID_ARGUMENT', /other options/);
  });
});
