import { AtelierError, backing, streams, subjects, type BlobBucket, type TensorKind } from '@atelier/contracts';
import { walkStream, type Mesh } from '@atelier/mesh';

export interface SurveyedObject {
  name: string;
  bytes: number;
  written: Date;
}

/** Chunks of one object that no entry names: its upload is under way, or never came to its end. */
export interface LooseChunks {
  nuid: string;
  bytes: number;
  /** The last of them. */
  written: Date;
}

export interface BucketSurvey {
  objects: SurveyedObject[];
  loose: LooseChunks[];
}

export interface SurveyedTensor {
  kind: TensorKind;
  key: string;
  sequence: number;
  bytes: number;
  written: Date;
}

/**
 * What is in a bucket, without reading any of it. Chunks are looked at before entries: an object whose entry is written
 * in between is named, not loose.
 */
export async function surveyBucket(mesh: Mesh, bucket: BlobBucket): Promise<BucketSurvey> {
  const stream = backing.blobStream(bucket);
  const chunks = new Map<string, LooseChunks>();
  const prefix = `$O.${bucket}.C.`;
  for await (const { subject, bytes, written } of walkStream(mesh, stream, `${prefix}>`)) {
    const nuid = subject.slice(prefix.length);
    chunks.set(nuid, { nuid, bytes: (chunks.get(nuid)?.bytes ?? 0) + bytes, written });
  }
  const objects: SurveyedObject[] = [];
  for await (const { data, written } of walkStream(mesh, stream, `$O.${bucket}.M.>`, { bodies: true })) {
    const info = JSON.parse(Buffer.from(data).toString()) as Partial<Entry>;
    if (!info.name || !info.nuid || info.deleted) continue;
    objects.push({ name: info.name, bytes: info.size ?? 0, written });
    chunks.delete(info.nuid);
  }
  return { objects, loose: [...chunks.values()] };
}

/** As the object store writes it. */
interface Entry {
  name: string;
  nuid: string;
  size: number;
  deleted: boolean;
}

/** Takes loose chunks away: for those that are older than any upload may pause. */
export async function clearLoose(mesh: Mesh, bucket: BlobBucket, { nuid }: LooseChunks): Promise<void> {
  await mesh.jsm.streams.purge(backing.blobStream(bucket), { filter: `$O.${bucket}.C.${nuid}` });
}

/** Every tensor set, without its bytes. */
export async function surveyTensors(mesh: Mesh): Promise<SurveyedTensor[]> {
  const found: SurveyedTensor[] = [];
  for await (const { subject, sequence, bytes, written } of walkStream(mesh, streams.TENSORS, subjects.all.tensors)) {
    const [, kind, key] = subject.split('.');
    if (!key) throw new AtelierError('DATA_LOSS', `${subject} is no subject of stream ${streams.TENSORS}`);
    found.push({ kind: kind as TensorKind, key, sequence, bytes, written });
  }
  return found;
}

/** Takes away the tensor set that was seen, and none that was made anew since. */
export async function clearTensor(mesh: Mesh, { kind, key, sequence }: SurveyedTensor): Promise<void> {
  await mesh.jsm.streams.purge(streams.TENSORS, { filter: subjects.tensors(kind, key), seq: sequence + 1 });
}
