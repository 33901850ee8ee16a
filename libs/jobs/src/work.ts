// The messages that set jobs going, each with the id under which it is one message however often it is sent.
import {
  GenerateWork,
  IngestWork,
  subjects,
  TrainWork,
  type IGenerateWork,
  type IIngestWork,
  type ITrainWork,
} from '@atelier/contracts';
import { publishWork, type Mesh } from '@atelier/mesh';

export async function queueIngest(mesh: Mesh, work: IIngestWork): Promise<void> {
  await publishWork(mesh, subjects.work.ingest, IngestWork, work, {
    msgId: `ingest.${work.runId || work.datasetId}`,
  });
}

export async function queueTraining(mesh: Mesh, work: ITrainWork): Promise<void> {
  await publishWork(mesh, subjects.work.train, TrainWork, work, { msgId: `train.${work.runId}` });
}

export async function queueGeneration(mesh: Mesh, work: IGenerateWork): Promise<void> {
  await publishWork(mesh, subjects.work.generate, GenerateWork, work, { msgId: `generate.${work.id}` });
}
