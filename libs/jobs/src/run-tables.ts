// What a run tells of its held-out loss and of its pictures, as the HTTP API, --json and tables have it.
import {
  adapterStep,
  enumNames,
  PictureStanding,
  type AdapterInfo,
  type IHeldOutScore,
  type Run,
} from '@atelier/contracts';

const standings = enumNames(PictureStanding, 'PICTURE_STANDING');

export interface PictureView {
  name: string;
  visits: number;
  loss: number;
  first: number;
  latest: number;
  standing: string;
  /** null: it was not compared. */
  caption_gain: number | null;
}

/** The most suspicious first. */
export function picturesOf({ pictures }: Pick<Run, 'pictures'>): { step: number; pictures: PictureView[] } {
  const rows = (pictures?.pictures ?? []).map(({ name, visits, loss, first, latest, standing, captionGain }) => ({
    name: name ?? '',
    visits: visits ?? 0,
    loss: loss ?? 0,
    first: first ?? 0,
    latest: latest ?? 0,
    standing: standings.read(standing) ?? 'new',
    caption_gain: captionGain ?? null,
  }));
  return { step: pictures?.step ?? 0, pictures: rows };
}

/** The step of the lowest held-out loss, the earliest of equals; undefined: there is none. */
export function bestStep(scores: readonly IHeldOutScore[]): number | undefined {
  const lower = (low: IHeldOutScore | undefined, score: IHeldOutScore): IHeldOutScore =>
    low === undefined || (score.loss ?? 0) < (low.loss ?? 0) ? score : low;
  const best = scores.reduce<IHeldOutScore | undefined>(lower, undefined);
  return best && (best.step ?? 0);
}

export interface AdapterOfRun {
  /** null: the run's moving average. */
  step: number | null;
  name: string;
  bytes: number;
  held_out_loss: number | null;
  best: boolean;
}

/** What a run has made, by step, its last and its average among them. */
export function adaptersOf(run: Run, all: readonly AdapterInfo[]): AdapterOfRun[] {
  const best = bestStep(run.heldOut);
  const view = ({ name, size }: AdapterInfo): AdapterOfRun => {
    const step = name.endsWith('@ema') ? null : (adapterStep(name) ?? run.step);
    const score = run.heldOut.find((each) => (each.step ?? 0) === step);
    return { step, name, bytes: size, held_out_loss: score?.loss ?? null, best: step !== null && step === best };
  };
  const mine = all.filter(({ runId }) => runId === run.id).map(view);
  return mine.sort((a, b) => (a.step ?? Infinity) - (b.step ?? Infinity) || (a.name < b.name ? 1 : -1));
}
