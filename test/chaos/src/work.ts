import type { Dataset, Files, Finetune } from '../../support/api';
import { Refused } from '../../support/api';
import type { Atelier } from '../../support/atelier';
import { Fault, type Patience } from './patience';

const TRAINING = {
  steps: 80,
  accumulation: 2,
  rank: 2,
  seed: 7,
  learning_rate: 1e-3,
  lr_schedule: 'cosine',
  checkpoint_every: 5,
};
const DRAWING = { prompt: 'a tomato circle', n: 2, steps: 40, seed: 5, response_format: 'b64_json' };

interface Drawing {
  id: string;
  pictures: string[];
}

/** One job after another through the gateway, each as patient as its client. */
export class Work {
  constructor(
    private readonly atelier: Atelier,
    private readonly patience: Patience,
  ) {}

  /** Resolves when it is acknowledged. One whose answer was lost may be there as well. */
  async upload(name: string, files: Files): Promise<Dataset> {
    return this.patience.answered(`upload ${name}`, () => this.atelier.api.upload({ name }, files));
  }

  /** Resolves when it is acknowledged, or is found where an answer was lost: a name is taken once. */
  async start(name: string, dataset: string): Promise<Finetune> {
    const ask = (): Promise<Finetune> => this.atelier.api.finetune({ dataset, name, ...TRAINING });
    try {
      return await this.patience.answered(`run ${name}`, ask);
    } catch (error) {
      if (!(error instanceof Refused && error.status === 409)) throw error;
      const { data } = await this.patience.answered('list of runs', () =>
        this.atelier.api.json<{ data: (Finetune & { name: string })[] }>('/v1/finetunes'),
      );
      const mine = data.find((run) => run.name === name);
      if (!mine) throw new Fault(`run ${name}: ${error.message}, and it is not listed`);
      return mine;
    }
  }

  async ingested(id: string): Promise<Dataset> {
    return this.patience.watch(`data set ${id}`, () => this.atelier.api.json<Dataset>(`/v1/datasets/${id}`), {
      over: ({ status }) => ['ingested', 'failed', 'cancelled'].includes(status),
      shows: ({ status, samples }) => `${status}, ${samples} samples`,
    });
  }

  async finished(id: string): Promise<Finetune> {
    return this.patience.watch(`run ${id}`, () => this.atelier.api.json<Finetune>(`/v1/finetunes/${id}`), {
      over: ({ status }) => ['finished', 'failed', 'cancelled'].includes(status),
      shows: ({ status, step }) => `${status} at step ${step}`,
    });
  }

  adapter(name: string): Promise<Buffer> {
    return this.patience.answered(`adapter ${name}`, () => this.atelier.api.bytes(`/v1/adapters/${name}`));
  }

  /** The synchronous request, as OpenAI's clients send it; one that broke is sent again, and draws again. */
  async draw(model: string): Promise<Drawing> {
    const { id, data } = await this.patience.answered('drawing', () => this.atelier.api.draw({ model, ...DRAWING }));
    return { id, pictures: data.map(({ b64_json }) => b64_json ?? '') };
  }

  /** Every drawing has ended, those too whose client never heard of them. */
  async drawingsOver(): Promise<void> {
    type Listed = { data: { id: string; status: string }[] };
    const open = ({ data }: Listed): string[] =>
      data.filter(({ status }) => status === 'queued' || status === 'running').map(({ id }) => id);
    await this.patience.watch('drawings', () => this.atelier.api.json<Listed>('/v1/images/generations'), {
      over: (listed) => open(listed).length === 0,
      shows: (listed) => open(listed).join(' '),
    });
  }

  async remove(path: string): Promise<void> {
    try {
      await this.patience.answered(`deletion of ${path}`, () => this.atelier.api.request(path, { method: 'DELETE' }));
    } catch (error) {
      // an earlier try did it, whose answer was lost
      if (!(error instanceof Refused && error.status === 404)) throw error;
    }
  }

  async isThere(path: string): Promise<boolean> {
    try {
      await this.patience.answered(path, () => this.atelier.api.request(path));
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return false;
      throw error;
    }
  }
}
