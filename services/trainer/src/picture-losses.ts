import { PictureStanding, type IPictureFigures, type IPictureTable, type ISample } from '@atelier/contracts';

/** Noise levels 0 to 1 in so many equal bands: within one the loss depends on the picture more than on the level. */
const BANDS = 20;
/** Visits that `first` is the mean of, and that `latest` remembers: each counts for this share, or more at the start. */
const FIRST = 3;
const LATEST = 0.2;
/** Visits before anything is said of a picture. */
const KNOWN = 5;
/** Of a large data set so many are told, those that stand out. */
const MOST = 500;
/** In robust standard deviations from the median of all pictures. */
const FAR = 2;

interface Visited {
  visits: number;
  /** Sum of the visits' ratios. */
  sum: number;
  first: number;
  latest: number;
}

/**
 * How each picture fares, from the losses that training makes anyway. A loss says little by itself: it depends on the
 * noise level first. So each is divided by the mean of what all pictures had in its band of noise levels until then;
 * 1 is a picture like the others. It is part of the training state: a run that is resumed has the same table.
 */
export class PictureLosses {
  private constructor(
    private readonly bands: { visits: number; sum: number }[],
    private readonly pictures: Map<number, Visited>,
    private readonly gains: Map<number, number>,
  ) {}

  /** @param saved what `saved` gave; nothing: a run that begins */
  static from(saved: readonly (readonly number[])[] = []): PictureLosses {
    const bands = Array.from({ length: BANDS }, (_, band) => ({
      visits: saved[0]?.[2 * band] ?? 0,
      sum: saved[0]?.[2 * band + 1] ?? 0,
    }));
    const visited = saved.slice(1).filter(({ length }) => length === 5);
    const pictures = visited.map(([index = 0, visits = 0, sum = 0, first = 0, latest = 0]) => {
      return [index, { visits, sum, first, latest }] as const;
    });
    const gains = saved.slice(1).filter(({ length }) => length === 2) as [number, number][];
    return new PictureLosses(bands, new Map(pictures), new Map(gains));
  }

  /** Numbers that JSON keeps exactly. */
  saved(): number[][] {
    const bands = this.bands.flatMap(({ visits, sum }) => [visits, sum]);
    return [
      bands,
      ...[...this.pictures].map(([index, { visits, sum, first, latest }]) => [index, visits, sum, first, latest]),
      ...[...this.gains].map(([index, gain]) => [index, gain]),
    ];
  }

  /** How much lower its loss was under its own caption than under others': of mean logarithms, so about as a share. */
  compared(index: number, gain: number): void {
    this.gains.set(index, gain);
  }

  isCompared(index: number): boolean {
    return this.gains.has(index);
  }

  take(index: number, { loss, sigma }: { loss: number; sigma: number }): void {
    const band = this.bands[Math.min(BANDS - 1, Math.floor(sigma * BANDS))]!;
    band.visits += 1;
    band.sum += loss;
    const ratio = band.sum > 0 ? loss / (band.sum / band.visits) : 1;
    const { visits, sum, first, latest } = this.pictures.get(index) ?? { visits: 0, sum: 0, first: 0, latest: 0 };
    const share = Math.max(LATEST, 1 / (visits + 1));
    this.pictures.set(index, {
      visits: visits + 1,
      sum: sum + ratio,
      first: visits < FIRST ? first + (ratio - first) / (visits + 1) : first,
      latest: latest + share * (ratio - latest),
    });
  }

  /** The most suspicious first. */
  table(samples: readonly ISample[], step: number): IPictureTable {
    const known = [...this.pictures].map(([index, { visits, sum, first, latest }]) => {
      return {
        name: samples[index]?.name ?? '',
        visits,
        loss: sum / visits,
        first,
        latest,
        captionGain: this.gains.get(index),
      };
    });
    const { median, deviation } = spread(known.filter(({ visits }) => visits >= KNOWN).map(({ loss }) => loss));
    const far = (loss: number): number => (loss - median) / deviation;
    const pictures: IPictureFigures[] = known
      .map((figures) => ({ ...figures, standing: standingOf(figures, far(figures.loss)) }))
      .sort((a, b) => gainOf(a) - gainOf(b) || b.loss - a.loss || (a.name < b.name ? -1 : 1));
    return { step, pictures: pictures.length > MOST ? standingOut(pictures) : pictures };
  }
}

/** The most suspicious, and of the others those of the lowest loss, which may be memorised; in the order that they have. */
function standingOut(pictures: readonly IPictureFigures[]): IPictureFigures[] {
  const others = pictures.slice(MOST / 2).sort((a, b) => (a.loss ?? 0) - (b.loss ?? 0));
  const lowest = new Set(others.slice(0, MOST / 2));
  return pictures.filter((each, place) => place < MOST / 2 || lowest.has(each));
}

/** Of one whose caption was not compared, as if it suited it: a high loss alone is that of a picture with much in it. */
const gainOf = ({ captionGain }: { captionGain?: number }): number => captionGain ?? Number.MAX_VALUE;

/** Median, and the standard deviation of a normal distribution with the same median distance from it. */
function spread(values: number[]): { median: number; deviation: number } {
  const middle = (sorted: number[]): number =>
    sorted.length === 0
      ? 1
      : (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2;
  const median = middle([...values].sort((a, b) => a - b));
  const distances = values.map((value) => Math.abs(value - median)).sort((a, b) => a - b);
  return { median, deviation: Math.max(1.4826 * middle(distances), 0.02) };
}

function standingOf({ visits, first, latest }: { visits: number; first: number; latest: number }, far: number) {
  if (visits < KNOWN) return PictureStanding.PICTURE_STANDING_NEW;
  if (far > FAR && latest > 0.9 * first) return PictureStanding.PICTURE_STANDING_STUCK;
  if (far < -FAR && latest < first) return PictureStanding.PICTURE_STANDING_MEMORISED;
  return latest < 0.95 * first ? PictureStanding.PICTURE_STANDING_LEARNT : PictureStanding.PICTURE_STANDING_LEARNING;
}
