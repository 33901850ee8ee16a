import { openCheckpoint, type Checkpoint, type Fingerprints } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';
import {
  Engine,
  type BaseQuant,
  type ClipText,
  type Transformer,
  type Progress,
  type T5Text,
  type Vae,
} from '@atelier/engine';
import { proofNote, proveCard } from './card-proof';
import { insteadOfCard } from './computing';

export interface ModelHostOptions {
  /** Folder of a checkpoint in the diffusers layout. */
  model: string;
  /** Where quantised copies are kept; none are without it. */
  cacheDir?: string;
  /** Where it is kept what cards have proved; without it a card is trusted as it is. */
  cardsDir?: string;
  /** What computes: `cpu`, `cuda`, `cuda:N`, a card also with `,fp8` behind it, or `auto`, the default. */
  compute?: string;
  /** On the CPU; 0: all cores. */
  threads?: number;
  /** Models are let go when nobody has used them for so long. */
  idleMs?: number;
  onProgress?: (progress: Progress) => void;
  /** Called with the device's description whenever one is opened, and what a person should know of it. */
  onOpened?: (device: string, note: string) => void;
  /** Called when the models are gone: their memory may be given to someone else. */
  onFreed?: () => Promise<void>;
}

/** The checkpoint's models, loaded when first used, shared while used, and let go when idle, so that another tenant can have the memory. */
export class ModelHost {
  private opened?: Promise<Checkpoint>;
  private known?: Promise<Fingerprints>;
  private engine?: Promise<Engine>;
  private readonly loaded = new Map<string, Promise<{ dispose(): Promise<void> }>>();
  private users = 0;
  private timer?: NodeJS.Timeout;
  private letGo: Promise<void> = Promise.resolve();
  private readonly listeners: (() => Promise<void>)[] = [];

  constructor(private readonly options: ModelHostOptions) {}

  checkpoint(): Promise<Checkpoint> {
    this.opened ??= openCheckpoint(this.options.model).catch((error: unknown) => {
      this.opened = undefined; // a folder that is put right is found at the next try
      throw error;
    });
    return this.opened;
  }

  /** Of what is loaded: asked for again when it has been let go, since the files may be others by then. */
  fingerprints(): Promise<Fingerprints> {
    this.known ??= this.checkpoint()
      .then((checkpoint) => checkpoint.fingerprints())
      .catch((error: unknown) => {
        this.known = undefined;
        throw error;
      });
    return this.known;
  }

  /** Runs `work` with the models at hand; they stay loaded at least until it is over. */
  async use<T>(work: (models: Models) => Promise<T>): Promise<T> {
    clearTimeout(this.timer);
    this.users++;
    try {
      await this.letGo;
      const checkpoint = await this.checkpoint();
      return await work({
        checkpoint,
        transformer: (quant) =>
          this.load(`transformer ${quant}`, (engine) =>
            engine.loadTransformer(checkpoint.component('transformer'), {
              quant,
              cacheDir: this.options.cacheDir,
              onProgress: this.options.onProgress,
            }),
          ),
        vae: () => this.load('vae', (engine) => engine.loadVae(checkpoint.component('vae'))),
        clip: () => this.load('clip', (engine) => engine.loadClip(checkpoint.component('text_encoder'))),
        t5: (memoryBudget) =>
          this.load('t5', (engine) => engine.loadT5(checkpoint.component('text_encoder_2'), { memoryBudget })),
      });
    } finally {
      if (--this.users === 0) {
        this.timer = setTimeout(() => void this.release(), this.options.idleMs ?? 60_000);
        this.timer.unref();
      }
    }
  }

  /** Called before the models are let go, by whoever keeps something that was made from them. */
  onRelease(listener: () => Promise<void>): void {
    this.listeners.push(listener);
  }

  /** Lets the models go now, unless someone is using them. */
  async release(): Promise<void> {
    clearTimeout(this.timer);
    if (this.users > 0) return;
    const engine = this.engine;
    this.engine = undefined;
    this.loaded.clear();
    this.letGo = this.close(engine);
    await this.letGo;
  }

  private async close(engine: Promise<Engine> | undefined): Promise<void> {
    await Promise.allSettled(this.listeners.map((listener) => listener()));
    await engine?.then((open) => open.close()).catch(() => undefined);
    this.known = undefined;
    await this.options.onFreed?.().catch(() => undefined);
  }

  private async open(): Promise<Engine> {
    const { compute = 'auto', cardsDir, threads, onOpened } = this.options;
    const engine = await Engine.open({ device: compute, threads });
    try {
      const proof = cardsDir === undefined ? undefined : await proveCard(engine, compute, cardsDir);
      onOpened?.(engine.description, proof ? proofNote(proof) : '');
      return engine;
    } catch (error) {
      await engine.close();
      if (compute !== 'auto' || !(error instanceof AtelierError) || error.code !== 'UNIMPLEMENTED') throw error;
      const cpu = await Engine.open({ device: 'cpu', threads });
      onOpened?.(insteadOfCard(cpu.description, error.message), '');
      return cpu;
    }
  }

  private load<M extends { dispose(): Promise<void> }>(name: string, load: (engine: Engine) => Promise<M>): Promise<M> {
    let model = this.loaded.get(name) as Promise<M> | undefined;
    if (!model) {
      this.engine ??= this.open();
      const loading = (engine: Engine): Promise<M> =>
        load(engine).catch((error: unknown) => rethrow(error, this.options.model));
      model = this.engine.then(loading);
      this.loaded.set(name, model);
      model.catch(() => this.loaded.delete(name));
    }
    return model;
  }
}

/** Throws what the engine says of a damaged or foreign weight file, with what a person can do about it: the engine knows files, not where they come from. */
function rethrow(error: unknown, model: string): never {
  if (!(error instanceof AtelierError) || !['DATA_LOSS', 'NOT_FOUND', 'UNIMPLEMENTED'].includes(error.code))
    throw error;
  throw new AtelierError(
    error.code,
    `${error.message}. Download the checkpoint in ${model} again, or give the services another with ATELIER_MODEL`,
    error.details,
    { cause: error },
  );
}

export interface Models {
  checkpoint: Checkpoint;
  transformer(quant: BaseQuant): Promise<Transformer>;
  vae(): Promise<Vae>;
  clip(): Promise<ClipText>;
  /**
   * @param memoryBudget of whoever asks first: bytes of a card that it may take; layers that do not fit are fetched for
   *   each pass of captions. Default: what is free
   */
  t5(memoryBudget?: number): Promise<T5Text>;
}
