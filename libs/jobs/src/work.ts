// The messages that set jobs going, each with the id under which it is one message however often it is sent.
// A run has one message that starts it: that of its data set, while that is still to be read, or its own.
import {
  GenerateWork,
  IngestWork,
  subjects,
  TrainWork,
  type IGenerateWork,
  type IIngestWork,
  type ITrainWork,
} from '@atelier/contracts';
import { publishWork, publishWorkOnce, type Mesh } from '@atelier/mesh';

const ingestId = ({ datasetId, runId }: IIngestWork): string => `ingest.${runId || datasetId}`;

export async function queueIngest(mesh: Mesh, work: IIngestWork): Promise<void> {
  await publishWork(mesh, subjects.work.ingest, IngestWork, work, { msgId: ingestId(work) });
}

/** The same of a data set that should be on the queue already: who uploaded it may have died before it was. */
export async function queueIngestAgain(mesh: Mesh, datasetId: string, isOver: () => Promise<boolean>): Promise<void> {
  const work = { datasetId };
  const once = { msgId: ingestId(work), settled: isOver };
  await publishWorkOnce(mesh, subjects.work.ingest, IngestWork, work, once);
}

/** A run's turn that begins with its data set: once more than at its start where an encoding of it is gone. */
export async function queueIngestOfTurn(mesh: Mesh, work: IIngestWork, turn: number): Promise<void> {
  await publishWork(mesh, subjects.work.ingest, IngestWork, work, { msgId: `${ingestId(work)}.${turn}` });
}

/**
 * The same of a run that waits for an encoding that nobody is asked for any more.
 * @param delivered the last message that its encoder got: who finds the same at once sends one message
 */
export async function queueIngestForLost(mesh: Mesh, work: IIngestWork, delivered: number): Promise<void> {
  await publishWork(mesh, subjects.work.ingest, IngestWork, work, { msgId: `${ingestId(work)}.lost.${delivered}` });
}

/**
 * Each time that a run is put on its way to a trainer it has a message of its own.
 * @param again tells one that takes the place of one that is missing
 */
export async function queueTraining(mesh: Mesh, work: ITrainWork, turn: number, again = ''): Promise<void> {
  const msgId = [`train.${work.runId}.${turn}`, again].filter(Boolean).join('.');
  await publishWork(mesh, subjects.work.train, TrainWork, work, { msgId });
}

export async function queueGeneration(mesh: Mesh, work: IGenerateWork): Promise<void> {
  await publishWork(mesh, subjects.work.generate, GenerateWork, work, { msgId: `generate.${work.id}` });
}
